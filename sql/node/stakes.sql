-- What prepared transactions ($1: gids) hold up on the node: the tables they lock, the sessions that wait for them, and for how
-- many transactions vacuum must keep dead rows because of them. pg_blocking_pids knows no prepared transaction (it says 0), so
-- waiters are found in pg_locks: whoever waits for an object on which the branch holds a lock, and whoever waits behind those.
-- Gids are found through maps, not joins: the planner takes the thousands of rows of pg_locks for few, and would nest loops.
with recursive lock as materialized (
    select l.pid, l.virtualtransaction, l.granted, l.mode, l.locktype, l.database, l.relation, l.transactionid,
           row(l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid, l.objsubid)::text as target
    from pg_catalog.pg_locks l
), asked as materialized (
    select coalesce(jsonb_object_agg(p.transaction::text, p.gid), '{}') as by_xid, count(*) as n
    from pg_catalog.pg_prepared_xacts p
    where p.database = current_database() and p.gid = any ($1)
), branch as materialized (
    select l.virtualtransaction, a.by_xid ->> l.transactionid::text as gid, l.transactionid
    from asked a cross join lock l
    where l.locktype = 'transactionid' and l.pid is null and l.granted and a.by_xid ? l.transactionid::text
), holder as materialized (
    select coalesce(jsonb_object_agg(b.virtualtransaction, b.gid), '{}') as by_vxid from branch b
), held as materialized (
    select o.by_vxid ->> l.virtualtransaction as gid, l.target, l.mode, l.locktype, l.relation, l.database
    from holder o cross join lock l
    where l.pid is null and l.granted and o.by_vxid ? l.virtualtransaction
), waiter as materialized (
    select l.pid, l.target from lock l where not l.granted
), waiter_lock as materialized (
    -- What waiters hold that others may wait for: of table locks, those that are not shared by all who write.
    select l.pid, l.target from lock l
    where l.granted and l.pid = any (array(select w.pid from waiter w))
      and (l.locktype <> 'relation' or l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
), waiting as (
    select h.gid, w.pid from waiter w join held h on h.target = w.target
    union
    select x.gid, w.pid from waiting x join waiter_lock h on h.pid = x.pid join waiter w on w.target = h.target and w.pid <> x.pid
), held_table as (
    select h.gid, h.relation, string_agg(replace(h.mode, 'Lock', ''), ', ' order by h.mode) as modes
    from held h
    where h.locktype = 'relation' and h.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
    group by h.gid, h.relation
), locked as (
    select t.gid, format('%s%I (%s)', case when n.nspname <> 'public' then quote_ident(n.nspname) || '.' end, c.relname, t.modes) as name,
           row_number() over (partition by t.gid order by c.relname) as place
    from held_table t
    join pg_catalog.pg_class c on c.oid = t.relation and c.relkind in ('r', 'p', 'm', 'f')
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
), table_list as (
    select t.gid, string_agg(t.name, ', ' order by t.place) filter (where t.place <= 4)
                  || case when count(*) > 4 then format(' and %s more', count(*) - 4) else '' end as locks
    from locked t group by t.gid
), victims as (
    select w.gid, count(*)::int as blocked, (array_agg(w.pid order by w.pid))[:5] as pids from waiting w group by w.gid
)
select b.gid, age(b.transactionid)::text as holds_back, coalesce(v.blocked, 0) as blocked, coalesce(v.pids, '{}') as pids, t.locks
from (select distinct on (x.gid) x.gid, x.transactionid from branch x order by x.gid) b
left join victims v on v.gid = b.gid left join table_list t on t.gid = b.gid
