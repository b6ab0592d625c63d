-- The sidecar's side of the doorbell (the argument stands at pglobalxact._ring).
create or replace function pglobalxact._stay_awake()
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    -- fault point: before awake
    return pg_try_advisory_lock(pglobalxact._lock_key('awake'), 0);
end
$$;
comment on function pglobalxact._stay_awake() is 'Internal. From now on the sidecar polls, and sessions need not notify it. False: try again later.';
revoke all on function pglobalxact._stay_awake() from public;
