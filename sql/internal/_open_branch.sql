-- The first use of a node by the current transaction; state is what _join_set keeps in pglobalxact.set, and is returned anew.
-- Called by a function that has pinned search_path: pinning it again would cost more than the rest.
create or replace function pglobalxact._open_branch(xid xid8, state text[], number integer)
returns text
language plpgsql volatile
as $$
#variable_conflict use_variable
declare
    opening constant text := case when state[2] is null then set_config('pglobalxact.set', state[1] || ' opening', true) end;
begin
    if opening is not null then
        if not exists (select from pglobalxact.server_start s where s.started_at = pg_postmaster_start_time()) then
            perform pglobalxact._on_loopback('select pglobalxact._record_server_start()::text');
        end if;
        -- The row arms the trigger that prepares the set at COMMIT. After an earlier SET CONSTRAINTS ALL IMMEDIATE the trigger fires
        -- here, and only says "early": then the row is written once more, deferred. (Deferring it first would cost every set more.)
        insert into pglobalxact.commit_record (xid, nonce, application_name, client_addr)
        values (xid, split_part(state[1], '_', 2), current_setting('application_name'), inet_client_addr());
        if current_setting('pglobalxact.set') <> opening then
            set constraints pglobalxact.prepare_set deferred;
            delete from pglobalxact.commit_record r where r.xid = xid;
            insert into pglobalxact.commit_record (xid, nonce, application_name, client_addr)
            values (xid, split_part(state[1], '_', 2), current_setting('application_name'), inet_client_addr());
        end if;
    end if;

    -- In flight: visible in pg_locks at once and to everyone, gone with the transaction.
    if not pg_try_advisory_xact_lock_shared(pglobalxact._lock_key('in flight'), number) then
        perform pglobalxact._mark_in_flight(number);
    end if;
    -- Behind the row and the mark: the argument stands at pglobalxact._refuse_paused.
    if opening is not null and pg_sequence_last_value('pglobalxact.pause_switch') <> 0 then
        perform pglobalxact._refuse_paused();
    end if;
    return set_config('pglobalxact.set', case when opening is null then array_to_string(state, ' ') else state[1] || ' open' end || ' ' || number, true);
end
$$;
comment on function pglobalxact._open_branch(xid8, text[], integer) is
    'Internal. Writes the commit record for a new set, and marks the set in flight on a node.';
revoke all on function pglobalxact._open_branch(xid8, text[], integer) from public;
