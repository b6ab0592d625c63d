-- Restore points of a coordinator ($1) that left something on this node ($2, its number): their ids. A mark names the time line on which it was
-- prepared. Where that is the node's time line still, the node was not restored to the restore point since, as a recovery ends on a new one; and
-- whoever wrote the restore point did not come as far as to roll the mark back. A session that was to make one may live on.
select pg_catalog.split_part(p.gid, '_', 3) as id from pg_catalog.pg_prepared_xacts p
where p.database = pg_catalog.current_database()
  and p.gid ~ pg_catalog.format('^pgxr_%s_[0-9a-f]{16}_%s_%s$', $1::text, $2::text, pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))
union
select pg_catalog.split_part(a.application_name, ' ', 4) from pg_catalog.pg_stat_activity a
where a.usename = current_user and a.datname = pg_catalog.current_database()
  and a.application_name ~ pg_catalog.format('^pglobalxact restore point [0-9a-f]{16} of %s$', $1::text)
