-- Sets whose local transaction still runs, from its advisory locks: visible at once, without a write. Any role can take such
-- a lock, but only a transaction that has written a commit record holds the row lock mode on that table; the session's
-- login tells nothing, as a SECURITY DEFINER function may run sets for logins that have no right to.
create or replace view pglobalxact.in_flight as
select l.pid, l.objid::integer as node, a.xact_start as started_at, a.usename as role, a.application_name, a.client_addr,
       case when a.backend_xid is not null then x.xid end as xid,
       case when a.backend_xid is not null then x.xid || '_' || pglobalxact._nonce(c.id, x.xid, pg_postmaster_start_time()) end as set_id
from pg_catalog.pg_locks l
join pg_catalog.pg_stat_activity a on a.pid = l.pid
cross join pglobalxact.coordinator c
cross join lateral (select pglobalxact._widen_xid(a.backend_xid::text, pg_snapshot_xmax(pg_current_snapshot())::text) as xid) x
where l.locktype = 'advisory' and l.objsubid = 2 and l.granted
  and l.classid = any (pglobalxact._lock_keys('in flight'))
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
  and exists (select from pg_catalog.pg_locks w
              where w.pid = l.pid and w.locktype = 'relation' and w.database = l.database and w.granted
                and w.relation = 'pglobalxact.commit_record'::regclass and w.mode = 'RowExclusiveLock');
comment on view pglobalxact.in_flight is
    'Internal. One row per branch of every set whose local transaction is still open: session, node, role, since when. An advisory lock of a session that has not written a commit record is ignored.';
