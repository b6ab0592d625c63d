-- Who waits for whose lock on this server, in one row. $1: tell it in any case; otherwise only if some session of a set waits, be it one
-- of those whose pids are given ($2, at the coordinator) or one that is called like a branch: then the locks are not even read. "server"
-- is that of prepared.sql. Up to 1000 who wait are told, those of sets first. Every role may read most of this; whether a session's
-- role is one of those the caller is a member of stands with it ("known"), as any session may call itself anything.
with activity as materialized (
    select a.pid, coalesce(a.leader_pid, a.pid) as leader, a.usesysid, a.datid, a.application_name as name, a.state, a.xact_start, a.backend_start, a.backend_xid,
           a.wait_event_type = 'Lock' as waits, a.application_name ~ '^pgx_[0-9a-f]{8}_[0-9]+_[0-9a-f]{8}(_[0-9]+)?$' as is_branch
    from pg_catalog.pg_stat_get_activity(null) a
), wanted as materialized (
    select $1 or exists (select from activity a where a.waits and (a.is_branch or a.leader = any ($2))) as yes
), modes (wanted, conflicts) as (values
    ('AccessShareLock', '{AccessExclusiveLock}'::text[]),
    ('RowShareLock', '{ExclusiveLock,AccessExclusiveLock}'),
    ('RowExclusiveLock', '{ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'),
    ('ShareUpdateExclusiveLock', '{ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'),
    ('ShareLock', '{RowExclusiveLock,ShareUpdateExclusiveLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'),
    ('ShareRowExclusiveLock', '{RowExclusiveLock,ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'),
    ('ExclusiveLock', '{RowShareLock,RowExclusiveLock,ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'),
    ('AccessExclusiveLock', '{AccessShareLock,RowShareLock,RowExclusiveLock,ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}')
), locks as materialized (
    select l.pid, l.virtualtransaction as vxid, l.granted, l.mode, l.waitstart, l.locktype, l.database, l.relation, l.page, l.tuple, l.transactionid, l.classid, l.objid,
           row(l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid, l.objsubid)::text as target
    from pg_catalog.pg_locks l
    where (select w.yes from wanted w)
), waiter as materialized (
    -- A wait that has just begun has no waitstart yet: it is seen at the next look.
    select w.*, pg_catalog.pg_blocking_pids(w.pid) as blockers
    from (select l.*, a.leader
          from locks l join activity a on a.pid = l.pid
          where not l.granted and l.waitstart is not null
          order by (a.is_branch or a.leader = any ($2)) desc, l.waitstart limit 1000) w
), holder as materialized (
    -- pg_blocking_pids calls every prepared transaction 0: which it is, the target of the lock tells, and its mode.
    select distinct w.pid, l.vxid
    from waiter w join locks l on l.target = w.target and l.pid is null and l.granted join modes m on m.wanted = w.mode and l.mode = any (m.conflicts)
    where 0 = any (w.blockers)
), prepared as materialized (
    select coalesce(jsonb_object_agg(p.transaction::text, jsonb_build_object('gid', p.gid, 'role', p.owner, 'database', p.database,
                    'known', pg_catalog.pg_has_role(session_user, p.owner, 'member'))), '{}') as by_xid
    from pg_catalog.pg_prepared_xacts p
    where exists (select from holder)
), prepared_blocker as (
    select distinct h.pid, p.by_xid -> l.transactionid::text as blocker
    from holder h join locks l on l.vxid = h.vxid and l.pid is null and l.locktype = 'transactionid' cross join prepared p
    where p.by_xid ? l.transactionid::text
), involved as materialized (
    select w.pid from waiter w union select w.leader from waiter w union select u.pid from waiter w cross join lateral unnest(w.blockers) as u (pid)
), session as (
    select a.pid, a.name, pg_catalog.pg_get_userbyid(a.usesysid)::text as role, coalesce(pg_catalog.pg_has_role(session_user, a.usesysid, 'member'), false) as known,
           d.datname as database, a.datid = (select o.oid from pg_catalog.pg_database o where o.datname = current_database()) as here,
           a.state, a.backend_start::text as backend_start, extract(epoch from a.backend_start) * 1000 as born, extract(epoch from clock_timestamp() - a.xact_start) * 1000 as age, a.backend_xid::text as xid,
           (select min(l.vxid) from locks l where l.pid = a.pid) as vxid
    from activity a left join pg_catalog.pg_database d on d.oid = a.datid
    -- With those that have the same name: of several sessions called like one branch at most one is it.
    where a.pid in (select i.pid from involved i)
       or a.is_branch and a.xact_start is not null and a.name in (select b.name from activity b join involved i on i.pid = b.pid)
), wait as (
    select w.pid, w.leader, w.vxid, w.waitstart::text as since, extract(epoch from clock_timestamp() - w.waitstart) * 1000 as waited, w.target,
           case when row_of.target is not null then format('row (%s,%s) of %s', row_of.page, row_of.tuple, coalesce(row_of.name, 'relation ' || row_of.relation))
                when w.locktype = 'transactionid' then 'transaction ' || w.transactionid
                when w.locktype = 'tuple' then format('row (%s,%s) of %s', w.page, w.tuple, coalesce(named.name, 'relation ' || w.relation))
                when w.locktype = 'relation' then coalesce(named.name, 'relation ' || w.relation)
                when w.locktype = 'advisory' then format('advisory lock %s, %s', w.classid, w.objid)
                else concat_ws(' of ', w.locktype, coalesce(named.name, 'relation ' || w.relation)) end
           -- The mode in which one waits for a transaction says nothing of the row's.
           || case when w.locktype in ('transactionid', 'tuple', 'virtualxid') then '' else ' ' || replace(w.mode, 'Lock', '') end as lock,
           (select coalesce(jsonb_agg(distinct u.pid), '[]') from unnest(w.blockers) as u (pid) where u.pid > 0) as blockers,
           (select coalesce(jsonb_agg(b.blocker), '[]') from prepared_blocker b where b.pid = w.pid) as prepared
    from waiter w
    left join lateral (select regexp_replace(c.oid::regclass::text, '^public\.', '') as name from pg_catalog.pg_class c
                       where c.oid = w.relation and w.database = (select o.oid from pg_catalog.pg_database o where o.datname = current_database())) named on true
    -- Who waits for a row's last writer waits for its transaction, with the row's own lock in hand.
    left join lateral (select t.target, t.page, t.tuple, t.relation, regexp_replace(c.oid::regclass::text, '^public\.', '') as name
                       from locks t left join pg_catalog.pg_class c on c.oid = t.relation and t.database = (select o.oid from pg_catalog.pg_database o where o.datname = current_database())
                       where w.locktype = 'transactionid' and t.pid = w.pid and t.locktype = 'tuple' and t.granted limit 1) row_of on true
)
select extract(epoch from pg_postmaster_start_time()) || ':' || current_setting('port') as server, (select w.yes from wanted w) as busy,
       coalesce((select jsonb_agg(to_jsonb(w)) from wait w), '[]') as waits, coalesce((select jsonb_agg(to_jsonb(s)) from session s), '[]') as sessions
