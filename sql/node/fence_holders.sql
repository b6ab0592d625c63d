-- Who holds the fence of a coordinator ($2, as a signed integer) under one of the fence's lock classes ($1) in this database.
-- "own": under the very login the sidecar uses, so it can only be a sidecar of this coordinator, or of a copy of it.
select l.classid::int as class, a.pid, a.usename as role, a.application_name as name, a.usename = session_user as own
from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.objsubid = 2 and l.granted and l.classid::int = any ($1::int[]) and l.objid::bigint = ($2::bigint & 4294967295)
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
  and a.pid <> pg_backend_pid()
