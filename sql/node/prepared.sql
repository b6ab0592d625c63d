-- Every prepared transaction of this server, the oldest first: up to $1 of this database and as many of others, as
-- pg_prepared_xacts is the server's. In one row. "server" tells two databases of one server from two servers: the system
-- identifier would not (a restored copy has its original's), and it may be forbidden to read; two servers never start
-- in the same microsecond at the same port. Sessions that wait count among the 100 that wait longest. Ten thousand prepared
-- transactions take it some tenths of a second.
with recursive prepared as materialized (
    select p.transaction, p.gid, p.prepared, p.owner, p.database, p.database = current_database() as here,
           row_number() over (partition by p.database = current_database() order by p.prepared, p.gid) as place
    from pg_catalog.pg_prepared_xacts p
), shown as materialized (
    select p.* from prepared p where p.place <= $1::integer
), modes (wanted, conflicts, strength) as (values
    ('AccessShareLock', '{AccessExclusiveLock}'::text[], 1),
    ('RowShareLock', '{ExclusiveLock,AccessExclusiveLock}', 2),
    ('RowExclusiveLock', '{ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}', 3),
    ('ShareUpdateExclusiveLock', '{ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}', 4),
    ('ShareLock', '{RowExclusiveLock,ShareUpdateExclusiveLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}', 5),
    ('ShareRowExclusiveLock', '{RowExclusiveLock,ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}', 6),
    ('ExclusiveLock', '{RowShareLock,RowExclusiveLock,ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}', 7),
    ('AccessExclusiveLock', '{AccessShareLock,RowShareLock,RowExclusiveLock,ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}', 8)
), locks as materialized (
    -- A prepared transaction has no pid: its locks are those of the holder of the lock on its xid, the oldest of the holder's xids
    -- (subtransactions have theirs). No join and no filter here, as the planner would take ten thousand of them for one.
    select case when l.pid is null and l.granted and l.mode <> 'SIReadLock' then
               max(case when l.pid is null and l.granted and l.locktype = 'transactionid' then age(l.transactionid) end)
               over (partition by l.pid, l.virtualtransaction) end as holder_age,
           case when not l.granted then l.pid end as waiter, l.waitstart, l.mode, l.locktype, l.relation,
           row(l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid, l.objsubid)::text as target
    from pg_catalog.pg_locks l
    where exists (select from shown)
), held as materialized (
    select s.gid, s.here, l.mode, l.locktype, l.relation, l.target
    from shown s join locks l on l.holder_age = age(s.transaction)
), waiters as materialized (
    select w.waiter as pid, w.mode, w.target, pg_catalog.pg_blocking_pids(w.waiter) as blockers
    from (select l.waiter, l.mode, l.target from locks l where l.waiter is not null order by l.waitstart limit 100) w
), behind as materialized (
    select b.pid as blocker, w.pid from waiters w cross join lateral unnest(w.blockers) as b (pid)
), queues (head, pid) as (
    select w.pid, w.pid from waiters w
    union
    select q.head, b.pid from queues q join behind b on b.blocker = q.pid
), direct as materialized (
    -- pg_blocking_pids calls every prepared transaction 0: which one it is, the target of the lock tells, and its mode.
    select h.gid, array_agg(distinct w.pid) as pids
    from waiters w join held h on h.target = w.target join modes m on m.wanted = w.mode and h.mode = any (m.conflicts)
    group by h.gid
), victims as (
    select d.gid, c.sessions
    from direct d
    join (select p.pids, count(distinct q.pid) as sessions
          from (select distinct e.pids from direct e) p cross join lateral unnest(p.pids) as u (pid) join queues q on q.head = u.pid
          group by p.pids) c on c.pids = d.pids
), tables as (
    select h.gid, h.here, h.relation, max(m.strength) as strength,
           case when not h.here then null
                when c.oid is null then 'oid ' || h.relation
                when n.nspname = 'public' then quote_ident(c.relname)
                else quote_ident(n.nspname) || '.' || quote_ident(c.relname) end as name
    from held h
    join modes m on m.wanted = h.mode
    left join pg_catalog.pg_class c on c.oid = h.relation and h.here
    left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where h.locktype = 'relation' and (c.oid is null or c.relkind in ('r', 'p', 'm', 'f', 'v'))
    group by h.gid, h.here, h.relation, c.oid, c.relname, n.nspname
), ranked as (
    select t.gid, t.here, t.name, t.strength, row_number() over (partition by t.gid order by t.strength desc, t.name) as rank from tables t
), locked as (
    select r.gid, case when r.here then
               string_agg(r.name || ' ' || replace(m.wanted, 'Lock', ''), ', ' order by r.rank) filter (where r.rank <= 3)
               || case when count(*) > 3 then format(', %s more', count(*) - 3) else '' end
           else format('%s relation%s', count(*), case when count(*) > 1 then 's' else '' end) end as locks
    from ranked r join modes m on m.strength = r.strength
    group by r.gid, r.here
)
select extract(epoch from pg_postmaster_start_time()) || ':' || current_setting('port') as server, current_database()::text as database,
       (select jsonb_object_agg(t.database, t.n) from (select p.database, count(*) as n from prepared p group by p.database) t) as totals,
       coalesce((select jsonb_agg(jsonb_build_object('gid', s.gid, 'xid', s.transaction::text, 'owner', s.owner, 'database', s.database,
                    'age', (select clock_timestamp()) - s.prepared, 'blocked', coalesce(v.sessions, 0), 'holds_back', age(s.transaction), 'locks', k.locks)
                    order by s.prepared, s.gid)
                 from shown s left join victims v on v.gid = s.gid left join locked k on k.gid = s.gid), '[]') as prepared,
       coalesce((select jsonb_agg(distinct jsonb_build_object('name', a.application_name, 'address', host(a.client_addr)))
                 from pg_catalog.pg_stat_activity a where a.application_name like 'pgx\_%\_sidecar\_%'), '[]') as sidecars
