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
    own constant text := (select c.id from pglobalxact.coordinator c);
    set_id constant text := new.xid || '_' || new.nonce;
    numbers integer[]; kinds text[]; connections text[]; gids text[]; steps integer[];
    verify constant boolean := coalesce(nullif(current_setting('pglobalxact.verify_enlisted', true), '')::boolean, true);
    xids text[]; timelines text[]; owners text[]; extras text[];
    did_prepare boolean[]; read_only boolean[];
    got record;
    deadline constant timestamptz := clock_timestamp() + nullif(current_setting('statement_timeout')::interval, interval '0');
    failed integer; state text; message text; details text; hints text;
begin
    select array_agg(b.node order by b.node), array_agg(b.kind order by b.node), array_agg(b.connection order by b.node),
           array_agg('pgx_' || own || '_' || set_id || '_' || b.node order by b.node), array_agg(b.step order by b.node)
    into numbers, kinds, connections, gids, steps
    from pglobalxact.branch_record b where b.xid = new.xid and b.nonce = new.nonce;
    if numbers is null then
        -- Every branch went with a savepoint: the set has no branch, and nothing to finish.
        update pglobalxact.commit_record r set complete_at = clock_timestamp(), outcome = 'committed'
        where r.xid = new.xid and r.nonce = new.nonce;
        return null;
    end if;
    did_prepare := array_fill(false, array[cardinality(numbers)]);
    read_only := did_prepare;

    -- A decision that a crash could lose is not a decision.
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;

    begin
        -- First wave, all nodes in parallel. Failures are collected: those that did prepare must be rolled back.
        -- fault point: before prepares
        for i in 1 .. cardinality(numbers) loop
            -- fault point: between prepares, if i = 2
            begin
                if kinds[i] <> 'enlist' or verify then
                    perform pglobalxact._send(connections[i], pglobalxact._prepare_text(kinds[i], gids[i], steps[i]));
                end if;
            exception when others then
                get stacked diagnostics state = returned_sqlstate, message = message_text, details = pg_exception_detail;
                failed := i;
            end;
            exit when failed is not null;
        end loop;
        -- fault point: answers unread
        for i in 1 .. coalesce(failed - 1, cardinality(numbers)) loop
            begin
                if kinds[i] <> 'enlist' or verify then
                    perform pglobalxact._wait_until_ready(connections[i], deadline);
                    select t.* into got from @extschema:dblink@.dblink_get_result(connections[i]) as t (xid text, timeline text, owner text, extra text);
                    xids[i] := got.xid; timelines[i] := got.timeline; owners[i] := got.owner; extras[i] := got.extra;
                    perform pglobalxact._read_tag(connections[i], case kinds[i] when 'exec' then 'PREPARE TRANSACTION' end);
                    if kinds[i] = 'enlist' and xids[i] is null then
                        raise exception 'transaction "%" is not prepared there%', gids[i],
                            case when owners[i] is null then '' else format(' by this program, but by role "%s", of which the user mapping''s role is not a member', owners[i]) end
                            using errcode = 'object_not_in_prerequisite_state';
                    end if;
                end if;
                did_prepare[i] := kinds[i] <> 'query';
            exception when others then
                if failed is null or state = '25P02' then
                    get stacked diagnostics state = returned_sqlstate, message = message_text, details = pg_exception_detail;
                    failed := i;
                end if;
                perform pglobalxact._drain(connections[i]);
            end;
        end loop;

        -- Second wave: branches used by query only. One that wrote nothing needs no PREPARE and is committed plainly.
        if failed is null and 'query' = any (kinds) then
            -- fault point: between waves
            for i in 1 .. cardinality(numbers) loop
                if kinds[i] = 'query' then
                    read_only[i] := xids[i] is null;
                    perform pglobalxact._send(connections[i], case when read_only[i] then 'commit'
                        else pglobalxact._prepare_text('exec', gids[i], steps[i]) end);
                end if;
            end loop;
            for i in 1 .. cardinality(numbers) loop
                if kinds[i] = 'query' then
                    begin
                        perform pglobalxact._wait_until_ready(connections[i], deadline);
                        if not read_only[i] then
                            select t.* into got from @extschema:dblink@.dblink_get_result(connections[i]) as t (xid text, timeline text, owner text, extra text);
                            xids[i] := got.xid; timelines[i] := got.timeline; owners[i] := got.owner; extras[i] := got.extra;
                        end if;
                        perform pglobalxact._read_tag(connections[i], case when read_only[i] then 'COMMIT' else 'PREPARE TRANSACTION' end);
                        did_prepare[i] := not read_only[i];
                    exception when others then
                        get stacked diagnostics state = returned_sqlstate, message = message_text, details = pg_exception_detail;
                        failed := i;
                        perform pglobalxact._drain(connections[i]);
                    end;
                end if;
            end loop;
        end if;
    exception when query_canceled then
        -- Some PREPARE may be under way: its outcome is unknown here, and recovery's to settle.
        for i in 1 .. cardinality(numbers) loop
            perform pglobalxact._drop_connection(connections[i]);
        end loop;
        raise;
    end;

    if failed is not null then
        -- fault point: before undo
        for i in 1 .. cardinality(numbers) loop
            if kinds[i] <> 'enlist' and not read_only[i] then
                perform pglobalxact._undo(connections[i], case when did_prepare[i] then format('rollback prepared %L', gids[i]) else 'rollback' end);
            end if;
        end loop;
        perform pglobalxact._refuse(numbers[failed], kinds[failed], state, message, details);
    end if;

    -- fault point: after prepares
    update pglobalxact.branch_record b
    set prepared = true, plain = p.plain, timeline = p.timeline, owner = p.owner,
        branch_xid = case b.kind when 'enlist' then pglobalxact._widen_xid(p.xid, p.extra) else p.xid::xid8 end,
        fate = case when p.plain then 'committed' end
    from unnest(numbers, xids, timelines, owners, extras, read_only) as p (node, xid, timeline, owner, extra, plain)
    where b.xid = new.xid and b.nonce = new.nonce and b.node = p.node;

    perform set_config('pglobalxact.last_set', set_id, false);
    if not false = any (read_only) then
        update pglobalxact.commit_record r set complete_at = clock_timestamp(), outcome = 'committed'
        where r.xid = new.xid and r.nonce = new.nonce;
    else
        perform pglobalxact._ring();
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
