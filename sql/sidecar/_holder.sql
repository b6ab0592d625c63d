create or replace function pglobalxact._holder(purpose text, key integer)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select format('role "%s", pid %s, from %s, since %s', a.usename, a.pid, coalesce(host(a.client_addr), 'this host'), date_trunc('second', a.backend_start))
    from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.objsubid = 2 and l.granted and l.classid = any (pglobalxact._lock_keys(purpose)) and l.objid = key::oid
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
    limit 1
$$;
comment on function pglobalxact._holder(text, integer) is 'Internal. Who holds one of our advisory locks in this database.';
revoke all on function pglobalxact._holder(text, integer) from public;
