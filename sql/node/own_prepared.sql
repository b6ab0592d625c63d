-- Prepared here, in this database, under a gid of this coordinator ($1: LIKE pattern). What is prepared has no versions: this is how it
-- stands now, and what is not there any more has ended, visibly for every snapshot that is taken later.
select p.gid, p.transaction::text as xid from pg_catalog.pg_prepared_xact() p
where p.gid like $1 and p.dbid = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
