-- The sidecar's side of the doorbell (the argument stands at pglobalxact._ring). Sessions that tested the lock hold it until their
-- commit: under load there is always one, and trying alone would never get it, so it queues. While it does, a test fails as
-- if it were held: no NOTIFY is sent, and none is needed, as whoever queues looks next, with or without the lock. A session that
-- stays "committing" for long is not waited for.
create or replace function pglobalxact._stay_awake()
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp set lock_timeout = '50ms'
as $$
begin
    -- fault point: before awake
    perform pg_advisory_lock(pglobalxact._lock_key('awake'), 0);
    return true;
exception when lock_not_available then
    return false;
end
$$;
comment on function pglobalxact._stay_awake() is 'Internal. From now on the sidecar polls, and sessions need not notify it. False: try again later.';
revoke all on function pglobalxact._stay_awake() from public;
