-- How a node stands to a restore point. $1: the gid of its mark.
select case when not pg_catalog.pg_is_in_recovery() then pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) end as timeline,
       (select s.system_identifier::text from pg_catalog.pg_control_system() s) as system_identifier,
       exists (select from pg_catalog.pg_prepared_xacts p where p.gid = $1 and p.database = pg_catalog.current_database()) as marked
