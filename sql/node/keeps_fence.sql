-- Whether this very session still holds the fence: which one it is, and whether the lock is its own. $1: the fence's classes, $2: its key.
select pg_backend_pid() as pid,
       exists (select from pg_catalog.pg_locks l where l.pid = pg_backend_pid() and l.locktype = 'advisory' and l.objsubid = 2 and l.granted
               and l.classid::int = any ($1::int[]) and l.objid::bigint = ($2::bigint & 4294967295)) as held
