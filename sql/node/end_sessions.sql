-- Sessions of this very role under a name ($1), beside this one. How many there were.
select pg_catalog.count(pg_catalog.pg_terminate_backend(a.pid))::integer as ended
from pg_catalog.pg_stat_activity a
where a.application_name = $1 and a.usename = current_user and a.pid <> pg_catalog.pg_backend_pid()
