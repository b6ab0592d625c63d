-- The fate of a branch that is no longer prepared. $1: its xid8, $2: its gid. pg_xact_status proves something only on the time line
-- on which the branch was prepared, so that is returned beside it.
select case when $1::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) then 'future' else pg_xact_status($1::xid8) end as status,
       case when pg_is_in_recovery() then null else left(pg_walfile_name(pg_current_wal_lsn()), 8) end as timeline,
       exists (select from pg_catalog.pg_prepared_xacts p where p.gid = $2) as prepared
