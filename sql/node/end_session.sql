-- Ends a session ($1) whose local transaction is over, if it is still in the very remote transaction ($2) that was seen.
select pg_terminate_backend(a.pid) as ended from pg_catalog.pg_stat_activity a where a.pid = $1 and a.xact_start = $2::timestamptz
