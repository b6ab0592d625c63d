-- As own_prepared, with when: $1, LIKE pattern of the coordinator's gids.
select p.gid, p.transaction::text as xid, p.prepared::text as prepared_at from pg_catalog.pg_prepared_xact() p
where p.gid like $1 and p.dbid = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
