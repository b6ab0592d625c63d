-- What became of a set, from the commit records and this server's transaction status. Never a guess: what they cannot tell is unknown.
create or replace function pglobalxact.outcome(set_id text)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    key record := pglobalxact._set_key(outcome.set_id);
    record_outcome text;
    started pglobalxact.server_start;
    status text;
begin
    select coalesce(r.outcome, case when exists (select from pglobalxact.branch_record b
                                                 where b.xid = r.xid and b.nonce = r.nonce and b.fate = 'rolled back')
                               then 'mixed' else 'committed' end)
    into record_outcome
    from pglobalxact.commit_record r where r.xid = key.xid and r.nonce = key.nonce;
    if found and not (key.xid = coalesce(pg_current_xact_id_if_assigned(), '0'::xid8)) then
        return record_outcome;
    end if;
    started := pglobalxact._own_start(key.xid, key.nonce);
    if started.started_at is null then
        return 'unknown';
    end if;
    status := pglobalxact._xid_state(key.xid);
    if started.timeline <> left(pg_walfile_name(pg_current_wal_lsn()), 8)
       and (status is distinct from 'aborted' or pglobalxact._left_behind(key.xid, started)) then
        return 'unknown';  -- its time line was left: the same xid may be another transaction's by now
    end if;
    return case
        when status = 'in progress' and started.started_at = pg_postmaster_start_time() then 'in progress'
        when status in ('aborted', 'in progress', 'future') then 'rolled back'
        when status is null then 'unknown'
        -- The transaction committed without a record: undone by a savepoint, or purged after the retention time. For sets as
        -- old as the purged ones nothing tells which.
        when key.xid > (select c.purged_to from pglobalxact.coordinator c) then 'rolled back'
        else 'unknown' end;
end
$$;
comment on function pglobalxact.outcome(text) is
    'committed, rolled back, in progress, mixed or unknown, for a set id or gid of this coordinator. For a client that lost its connection during COMMIT. '
    'Error 22023 for what is not a set id, or is another coordinator''s.';
revoke all on function pglobalxact.outcome(text) from public;
grant execute on function pglobalxact.outcome(text) to pglobalxact_user, pglobalxact_monitor;
