-- Sets whose local transaction still runs, from its advisory locks: visible at once, without a write.
create or replace view pglobalxact.in_flight as
select l.pid, l.objid::integer as node, a.xact_start as started_at, a.usename as role, a.application_name, a.client_addr,
       case when a.backend_xid is not null then x.xid end as xid,
       case when a.backend_xid is not null then x.xid || '_' || pglobalxact._nonce(c.id, x.xid, pg_postmaster_start_time()) end as set_id
from pg_catalog.pg_locks l
join pg_catalog.pg_stat_activity a on a.pid = l.pid
cross join pglobalxact.coordinator c
cross join lateral (select pglobalxact._widen_xid(a.backend_xid::text, pg_snapshot_xmax(pg_current_snapshot())::text) as xid) x
where l.locktype = 'advisory' and l.objsubid = 2 and l.granted
  and l.classid = pglobalxact._lock_key('in flight')::oid
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
  and pg_has_role(a.usesysid, 'pglobalxact_user', 'member');
comment on view pglobalxact.in_flight is
    'One row per branch of every set whose local transaction is still open: session, node, role, since when. An advisory lock of a role that may not use pglobalxact is ignored.';
grant select on pglobalxact.in_flight to pglobalxact_monitor;
