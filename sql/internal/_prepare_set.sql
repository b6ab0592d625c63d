-- The commit protocol on the session's side: a deferred constraint trigger on the set's commit record, so it runs inside
-- the local COMMIT. All nodes prepare in parallel; then the local commit, just behind this function, is the decision.
--
-- What a death leaves, line by line:
--   before or between the PREPAREs   some branches prepared, the local transaction never commits: no record, they are
--                                    rolled back by recovery; branches not prepared end with their connection
--   after the PREPAREs               the same, until the local commit record is on disk
--   after the local commit           the record is visible: recovery commits every branch
-- A late PREPARE (sent, its session dead before the answer) appears on a later scan and is rolled back then.
--
-- Comments "fault point" name the places where tests stop a session to kill something. They stay in the function's source, and
-- a test puts a wait in their place (test/crash/support/sqlfaults.ts): that takes the function's owner or a superuser, and here it
-- costs nothing. A setting that the function reads could be set by any role.
create or replace function pglobalxact._prepare_set()
returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    set_id constant text := new.xid || '_' || new.nonce;
    verify constant boolean := coalesce(nullif(current_setting('pglobalxact.verify_enlisted', true), '')::boolean, true);
    deadline constant timestamptz := clock_timestamp() + nullif(current_setting('statement_timeout')::interval, interval '0');
    -- What the session has kept of the set (_join_set), an element per branch.
    state text[] := string_to_array(current_setting('pglobalxact.set', true), ' ');
    branch text[];
    kinds text[]; connections text[]; gids text[]; steps text[];
    last integer; sent integer := 0; answered integer := 0;
    got text[]; facts text[] := '{}';  -- of each branch: xid, timeline, owner, xmax
    prepared integer[] := '{}';
    done text; tag text; plain boolean;
    failed integer; failure text; message text; details text;
begin
    if state[1] = set_id and state[2] = 'opening' then
        done := set_config('pglobalxact.set', set_id || ' early', true);
        return null;
    end if;
    for i in 3 .. coalesce(cardinality(state), 0) loop
        branch := string_to_array(current_setting('pglobalxact.branch_' || state[i], true), ' ');
        exit when branch[1] is distinct from set_id;
        kinds := kinds || branch[2];
        connections := connections || pglobalxact._connection_for(branch[2], state[i], branch[3]);
        gids := gids || ('pgx_@coordinator@_' || set_id || '_' || state[i]);
        steps := steps || branch[4];
    end loop;
    last := cardinality(kinds);
    if (state[1] = set_id and state[2] = 'open' and last = cardinality(state) - 2) is not true then
        raise exception 'set rolled back: the settings in which the session keeps its state were changed'
            using errcode = 'transaction_rollback', hint = 'Run the transaction again; send no RESET ALL, and no SET of pglobalxact.…, in the middle of it.';
    end if;

    -- A decision that a crash could lose is not a decision.
    if current_setting('synchronous_commit') = 'off' then
        done := set_config('synchronous_commit', 'on', true);
    end if;

    begin
        -- First wave, all nodes in parallel. Failures are collected: those that did prepare must be rolled back. Behind one, the
        -- loop goes on where it was; without one, it is entered once, as entering is not free.
        -- fault point: before prepares
        loop
            begin
                while sent < last loop
                    sent := sent + 1;
                    -- fault point: between prepares, if sent = 2
                    if (kinds[sent] <> 'enlist' or verify) and @extschema:dblink@.dblink_send_query(connections[sent],
                            pglobalxact._prepare_text(kinds[sent], gids[sent], steps[sent])) <> 1 then
                        raise exception '%', @extschema:dblink@.dblink_error_message(connections[sent]) using errcode = 'connection_failure';
                    end if;
                end loop;
                -- fault point: answers unread
                while answered < last loop
                    answered := answered + 1;
                    got := array[null, null, null, null];
                    if kinds[answered] <> 'enlist' or verify then
                        if deadline is not null then
                            perform pglobalxact._wait_until_ready(connections[answered], deadline);
                        end if;
                        if kinds[answered] = 'exec' then
                            select array[r.xid, r.timeline, r.owner, null] into got
                            from @extschema:dblink@.dblink_get_result(connections[answered]) as r (xid text, timeline text, owner text, extra text);
                            select r.tag into tag from @extschema:dblink@.dblink_get_result(connections[answered]) as r (tag text);
                            -- Reading its end too makes the connection fit for use again. It comes with the tag: asking whether it is
                            -- here takes it in, at a tenth of the price of a result.
                            if @extschema:dblink@.dblink_is_busy(connections[answered]) <> 0 then
                                perform from @extschema:dblink@.dblink_get_result(connections[answered]) as r (tag text);
                            end if;
                            -- In an aborted transaction the answer is ROLLBACK and no error.
                            if tag is distinct from 'PREPARE TRANSACTION' then
                                raise exception 'the remote transaction had failed: PREPARE TRANSACTION answered %', coalesce(tag, 'nothing')
                                    using errcode = 'in_failed_sql_transaction';
                            end if;
                        else
                            select array[r.xid, r.timeline, r.owner, r.xmax] into got
                            from @extschema:dblink@.dblink_get_result(connections[answered]) as r (xid text, timeline text, owner text, xmax text);
                            if @extschema:dblink@.dblink_is_busy(connections[answered]) <> 0 then
                                perform from @extschema:dblink@.dblink_get_result(connections[answered]) as r (tag text);
                            end if;
                            if kinds[answered] = 'enlist' and got[1] is null then
                                raise exception 'transaction "%" is not prepared there%', gids[answered],
                                    case when got[3] is null then '' else format(' by this program, but by role "%s", of which the user mapping''s role is not a member', got[3]) end
                                    using errcode = 'object_not_in_prerequisite_state';
                            end if;
                        end if;
                    end if;
                    facts := facts || array[got];
                    if kinds[answered] <> 'query' then
                        prepared := prepared || answered;
                    end if;
                end loop;
                exit;
            exception when others then
                if failed is null or failure = '25P02' then
                    get stacked diagnostics failure = returned_sqlstate, message = message_text, details = pg_exception_detail;
                    failed := case when answered > 0 then answered else sent end;
                end if;
                if answered > 0 then
                    perform pglobalxact._drain(connections[answered]);
                else
                    -- It could not be sent: here and behind there is no answer to wait for.
                    sent := sent - 1;
                    last := sent;
                end if;
            end;
        end loop;

        -- Second wave: branches used by query only. One that wrote nothing needs no PREPARE and is committed plainly.
        if failed is null and 'query' = any (kinds) then
            -- fault point: between waves
            for i in 1 .. last loop
                if kinds[i] = 'query' then
                    perform pglobalxact._send(connections[i], case when facts[i][1] is null then 'commit'
                        else pglobalxact._prepare_text('exec', gids[i], steps[i]) end);
                end if;
            end loop;
            for i in 1 .. last loop
                if kinds[i] = 'query' then
                    begin
                        if deadline is not null then
                            perform pglobalxact._wait_until_ready(connections[i], deadline);
                        end if;
                        if facts[i][1] is null then
                            perform pglobalxact._read_tag(connections[i], 'COMMIT');
                        else
                            perform from @extschema:dblink@.dblink_get_result(connections[i]) as r (xid text, timeline text, owner text, extra text);
                            perform pglobalxact._read_tag(connections[i], 'PREPARE TRANSACTION');
                            prepared := prepared || i;
                        end if;
                    exception when others then
                        get stacked diagnostics failure = returned_sqlstate, message = message_text, details = pg_exception_detail;
                        failed := i;
                        perform pglobalxact._drain(connections[i]);
                    end;
                end if;
            end loop;
        end if;
    exception when query_canceled then
        -- Some PREPARE may be under way: its outcome is unknown here, and recovery's to settle.
        for i in 1 .. cardinality(kinds) loop
            perform pglobalxact._drop_connection(connections[i]);
        end loop;
        perform pglobalxact._explain_cancel();
        raise;
    end;

    if failed is not null then
        -- fault point: before undo
        for i in 1 .. cardinality(kinds) loop
            -- A branch that wrote nothing may have been committed: nothing is left of it, and ROLLBACK undoes nothing.
            if kinds[i] <> 'enlist' then
                perform pglobalxact._undo(connections[i],
                    case when i = any (prepared) then format('rollback prepared %L', gids[i]) else 'rollback' end);
            end if;
        end loop;
        perform pglobalxact._refuse(state[failed + 2]::integer, kinds[failed], failure, message, details);
    end if;

    -- fault point: after prepares
    for i in 1 .. last loop
        plain := not i = any (prepared);
        insert into pglobalxact.branch_record (xid, nonce, node, kind, plain, branch_xid, timeline, owner, fate)
        values (new.xid, new.nonce, state[i + 2]::integer, kinds[i], plain,
                case when kinds[i] = 'enlist' then pglobalxact._widen_xid(facts[i][1], facts[i][4]) else facts[i][1]::xid8 end,
                facts[i][2], facts[i][3], case when plain then 'committed' end);
    end loop;
    done := set_config('pglobalxact.set', set_id || ' prepared', true) || set_config('pglobalxact.last_set', set_id, false);
    if prepared = '{}' then
        update pglobalxact.commit_record r set complete_at = clock_timestamp(), outcome = 'committed'
        where r.xid = new.xid and r.nonce = new.nonce;
    else
        done := pglobalxact._ring();
    end if;
    -- fault point: before local commit
    return null;
end
$$;
comment on function pglobalxact._prepare_set() is 'Internal. Prepares all branches of the set at the local commit; the local commit itself is the decision.';
revoke all on function pglobalxact._prepare_set() from public;

do $$
begin
    if not exists (select from pg_catalog.pg_trigger t where t.tgrelid = 'pglobalxact.commit_record'::regclass and t.tgname = 'prepare_set') then
        create constraint trigger prepare_set after insert on pglobalxact.commit_record
            deferrable initially deferred for each row execute function pglobalxact._prepare_set();
    end if;
end
$$;
