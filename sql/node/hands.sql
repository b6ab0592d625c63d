-- Sessions in this database on which another sidecar of a coordinator finishes branches ($1: a pattern of their names; $2: the name of
-- one's own). An order may still be under way on each, though the session that held that sidecar's fence is gone.
select a.pid, a.application_name as name
from pg_catalog.pg_stat_activity a
where a.datname = current_database() and a.usename = session_user and a.application_name ~ $1 and a.application_name <> $2
