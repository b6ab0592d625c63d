-- Drops "awake" first, then asks for "committing" alone: getting it means that no session is between its doorbell test
-- and the end of its commit, so every later one sees the sidecar asleep and notifies. The caller looks once more.
create or replace function pglobalxact._fall_asleep(is_awake boolean)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if is_awake then
        perform pg_advisory_unlock(pglobalxact._lock_key('awake'), 0);
    end if;
    if pg_try_advisory_lock(pglobalxact._lock_key('committing'), 0) then
        perform pg_advisory_unlock(pglobalxact._lock_key('committing'), 0);
        return true;
    end if;
    return false;
end
$$;
comment on function pglobalxact._fall_asleep(boolean) is 'Internal. True when the sidecar may sleep until it is notified; false while a session is committing.';
revoke all on function pglobalxact._fall_asleep(boolean) from public;
