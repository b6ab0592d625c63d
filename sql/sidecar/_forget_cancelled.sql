create or replace function pglobalxact._forget_cancelled(set_id text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from pg_locks l where l.pid = pg_backend_pid() and l.locktype = 'advisory' and l.objsubid = 2
               and l.classid::integer = pglobalxact._lock_key('deadlock') and l.objid = pglobalxact._short_xid(_forget_cancelled.set_id)::oid) then
        perform pg_advisory_unlock(pglobalxact._lock_key('deadlock'), pglobalxact._short_xid(_forget_cancelled.set_id));
    end if;
end
$$;
comment on function pglobalxact._forget_cancelled(text) is 'Internal. Gives up the lock by which a cancelled session knows that a deadlock was the reason.';
revoke all on function pglobalxact._forget_cancelled(text) from public;
