-- The acting sidecar's session. Any role can take an advisory lock: only a holder that may be pglobalxact counts.
create or replace function pglobalxact._sidecar_pid()
returns table (pid integer)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select l.pid
    from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.objsubid = 2 and l.granted and l.mode = 'ExclusiveLock'
      and l.classid = any (pglobalxact._lock_keys('acting')) and l.objid = 0
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
      and pg_has_role(a.usesysid, 'pglobalxact', 'member')
$$;
comment on function pglobalxact._sidecar_pid() is 'Internal. Session of the acting sidecar, if one runs.';
revoke all on function pglobalxact._sidecar_pid() from public;
