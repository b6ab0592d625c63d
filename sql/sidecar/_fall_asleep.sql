-- Drops "awake" first, then asks for "committing" alone: getting it means that no session is between its doorbell test
-- and the end of its commit, so every later one sees the sidecar asleep and notifies. The caller looks once more.
create or replace function pglobalxact._fall_asleep(is_awake boolean)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    alone boolean;
begin
    -- fault point: before awake is dropped
    if is_awake then
        perform pg_advisory_unlock(pglobalxact._lock_key('awake'), 0);
    end if;
    -- fault point: before committing is tried
    alone := pg_try_advisory_lock(pglobalxact._lock_key('committing'), 0);
    if alone then
        -- fault point: alone
        perform pg_advisory_unlock(pglobalxact._lock_key('committing'), 0);
    end if;
    -- fault point: before the last look
    return alone;
end
$$;
comment on function pglobalxact._fall_asleep(boolean) is 'Internal. True when the sidecar may sleep until it is notified; false while a session is committing.';
revoke all on function pglobalxact._fall_asleep(boolean) from public;
