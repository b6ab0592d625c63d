-- Begun on this time line, and neither completed nor given up: if nobody is at it, its sidecar died or lost a server on the way, and a mark
-- may be left on its nodes. On another time line it is what this database was restored to, or a failover came in between: not to be touched.
create or replace function pglobalxact._broken_points()
returns table (id text, nodes integer[])
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select p.id, p.nodes from pglobalxact.restore_point p
    where p.completed_at is null and p.failed_at is null and p.timeline = left(pg_walfile_name(pg_current_wal_lsn()), 8)
$$;
comment on function pglobalxact._broken_points() is 'Internal. Restore points that were begun here and not completed.';
revoke all on function pglobalxact._broken_points() from public;
