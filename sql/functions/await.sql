-- Blocks until the branches of a committed set are finished on all nodes, for read-your-writes there.
create or replace function pglobalxact.await(set_id text default null, timeout interval default '30 seconds')
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    wanted text := coalesce(set_id, nullif(current_setting('pglobalxact.last_set', true), ''));
    deadline constant timestamptz := clock_timestamp() + timeout;
    pause double precision := 0.0005;
    answer text;
begin
    if wanted is null then
        raise exception 'this session has committed no set yet' using errcode = 'object_not_in_prerequisite_state',
            hint = 'Give a set id: select pglobalxact.await(''…'');';
    end if;
    if pglobalxact._canonical_set(wanted) = pglobalxact._own_set_id() then
        raise exception 'set "%" is this transaction''s own: it is not committed yet', wanted using errcode = 'object_not_in_prerequisite_state',
            hint = 'COMMIT first, then: select pglobalxact.await();';
    end if;
    loop
        -- A REPEATABLE READ transaction would look at its old snapshot for ever: look from outside then.
        answer := case when current_setting('transaction_isolation') in ('read committed', 'read uncommitted')
            then pglobalxact._set_progress(wanted)
            else pglobalxact._on_loopback(format('select pglobalxact._set_progress(%L)', wanted)) end;
        if answer is null then
            raise exception 'set "%" is not known here', wanted using errcode = 'undefined_object',
                hint = 'See: select pglobalxact.outcome(''' || wanted || ''');';
        end if;
        exit when answer <> 'open';
        if clock_timestamp() >= deadline then
            raise exception 'set "%" is committed, but not yet on all nodes after %', wanted, timeout
                using errcode = 'query_canceled', hint = 'It will be finished by itself. See: select * from pglobalxact.branches(''' || wanted || ''');';
        end if;
        perform pg_sleep(least(pause, extract(epoch from deadline - clock_timestamp())));
        pause := least(pause * 1.5, 0.02);
    end loop;
    return answer;
end
$$;
comment on function pglobalxact.await(text, interval) is
    'Blocks until a committed set (default: the last of this session) is committed on all its nodes, then returns its outcome. '
    'Errors: 42704 unknown set, 55000 the current transaction''s own set, 57014 timeout (default 30 s); the set is decided and goes on all the same.';
revoke all on function pglobalxact.await(text, interval) from public;
grant execute on function pglobalxact.await(text, interval) to pglobalxact_user;
