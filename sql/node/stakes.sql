-- What prepared transactions ($1: gids) hold up on the node: the tables they lock, the sessions that wait for them, and for how
-- many transactions vacuum must keep dead rows because of them. pg_blocking_pids knows no prepared transaction (it says 0), so
-- waiters are found in pg_locks: whoever waits for an object on which the branch holds a lock, and whoever waits behind those.
with recursive lock as materialized (
    select l.pid, l.virtualtransaction, l.granted, l.mode, l.locktype, l.database, l.relation, l.transactionid,
           row(l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid, l.objsubid)::text as target
    from pg_catalog.pg_locks l
), prepared as materialized (
    -- By itself, or it would be read again for every lock there is: seconds, where others have prepared thousands.
    select p.gid, p.transaction from pg_catalog.pg_prepared_xacts p where p.database = current_database() and p.gid = any ($1)
), branch as materialized (
    select p.gid, p.transaction, l.virtualtransaction
    from prepared p join lock l on l.transactionid = p.transaction and l.granted
), held as materialized (
    select b.gid, l.target, l.mode, l.locktype, l.relation, l.database from branch b join lock l on l.virtualtransaction = b.virtualtransaction and l.granted
), waiting as (
    select h.gid, w.pid from held h join lock w on w.target = h.target and not w.granted
    union
    -- A row lock's second waiter waits for the first one's tuple lock; shared table locks hold nobody up.
    select x.gid, w.pid from waiting x
    join lock h on h.pid = x.pid and h.granted and (h.locktype <> 'relation' or h.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
    join lock w on w.target = h.target and not w.granted and w.pid <> x.pid
)
select b.gid, age(b.transaction)::text as holds_back,
       (select count(distinct w.pid)::int from waiting w where w.gid = b.gid) as blocked,
       coalesce((select array_agg(w.pid order by w.pid) from (select distinct w.pid from waiting w where w.gid = b.gid order by 1 limit 5) w), '{}') as pids,
       (select string_agg(t.name, ', ' order by t.place) filter (where t.place <= 4)
               || case when count(*) > 4 then format(' and %s more', count(*) - 4) else '' end
        from (select format('%s (%s)', h.relation::regclass, string_agg(replace(h.mode, 'Lock', ''), ', ' order by h.mode)) as name,
                     row_number() over (order by h.relation::regclass::text) as place
              from held h join pg_catalog.pg_class c on c.oid = h.relation and c.relkind in ('r', 'p', 'm', 'f')
              where h.gid = b.gid and h.locktype = 'relation' and h.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
              group by h.relation) t) as locks
from branch b
