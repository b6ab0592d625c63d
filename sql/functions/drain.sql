-- Looks from the loopback only: the caller's snapshot may be an old one. What makes it exact stands at pglobalxact._refuse_paused.
create or replace function pglobalxact.drain(timeout interval default '1 minute', reason text default 'maintenance')
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    deadline constant timestamptz := clock_timestamp() + timeout;
    since text;
    look jsonb;
    told jsonb;
    told_at timestamptz := '-infinity';
    asked bigint;
    asked_at timestamptz := '-infinity';
    clean integer := 0;
begin
    if pglobalxact._own_set_id() is not null then
        raise exception 'this transaction has a set of its own: drain() would wait for it' using errcode = 'object_not_in_prerequisite_state',
            hint = 'COMMIT or ROLLBACK first.';
    elsif deadline is null then
        raise exception 'a timeout is needed' using errcode = 'invalid_parameter_value', hint = 'For example: select pglobalxact.drain(''5 minutes'');';
    end if;
    perform pglobalxact._require_reason(reason, 'select pglobalxact.drain(''5 minutes'', ''upgrade to 18, ticket 4711'');');
    since := pglobalxact._on_loopback(format('select pglobalxact._begin_pause(%L, %L)', session_user, reason))::jsonb ->> 'since';
    loop
        look := pglobalxact._on_loopback(format('select pglobalxact._drain_look(%L, %L, %L)', asked, look, least(deadline, clock_timestamp() + interval '1 second')));
        perform pglobalxact._drain_check(since, look);
        if look ->> 'open' is not null then
            clean := 0;
        end if;
        if look ->> 'answer' is not null then
            -- Two clean looks in a row at the nodes, begun when no set was open any more. One is not enough: a PREPARE whose local
            -- session is dead may end just when the node's prepared transactions were read and its sessions not yet.
            clean := case when look ->> 'open' is null and pglobalxact._drain_clean(look -> 'answer' -> 'result') then clean + 1 else 0 end;
            exit when clean = 2;
            asked := null;
            look := jsonb_set(look, '{answer}', 'null');
        end if;
        if clock_timestamp() >= deadline then
            perform pglobalxact._raise('55000', format('not drained after %s', timeout), case when look ->> 'open' is null
                    then 'No set is open here, but the sidecar has not said yet that nothing is left on the nodes.'
                    else 'Open: ' || pglobalxact._drain_text(look -> 'open', 20) || '.' end || E'\nThe pause stays in effect.',
                'See: select * from pglobalxact.sets(); wait longer: select pglobalxact.drain(''10 minutes''); or let sets begin again: select pglobalxact.resume();');
        end if;
        -- What is merely in doubt is what the sidecar saw at its last look at the node, and may be over by now.
        if asked is null and (look ->> 'open' is null or clock_timestamp() >= asked_at + interval '1 second'
                              and look -> 'open' -> 'in flight' = '[]' and look -> 'open' -> 'decided' = '[]') then
            asked_at := clock_timestamp();
            asked := pglobalxact._on_loopback(format('select pglobalxact._submit(''recover'', ''{}'', %L)', session_user));
        end if;
        if look ->> 'open' is not null and look -> 'open' is distinct from told and clock_timestamp() >= told_at + interval '1 second' then
            raise notice 'waiting for %', pglobalxact._drain_text(look -> 'open', 5);
            told := look -> 'open';
            told_at := clock_timestamp();
        end if;
    end loop;
    return pglobalxact._drain_result(look -> 'answer' -> 'result', look -> 'trouble');
end
$$;
comment on function pglobalxact.drain(interval, text) is
    'Pauses (unless paused already), then waits until no set is open: none in flight, undecided, or unfinished on a node. Returns drained, and which nodes did not answer. The pause stays in effect. '
    'Errors: 55000 not drained in time, no sidecar, resumed meanwhile, or the calling transaction has a set; 22023 no reason.';
revoke all on function pglobalxact.drain(interval, text) from public;
grant execute on function pglobalxact.drain(interval, text) to pglobalxact_admin;
