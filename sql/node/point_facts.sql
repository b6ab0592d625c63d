-- What must be known before a restore point is written here.
select current_user::text as login,
       pg_catalog.has_function_privilege('pg_catalog.pg_create_restore_point(text)', 'execute') as may,
       pg_catalog.pg_is_in_recovery() as standby,
       pg_catalog.current_setting('wal_level') as wal_level,
       pg_catalog.current_setting('archive_mode') <> 'off' as archiving,
       case when not pg_catalog.pg_is_in_recovery() then pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) end as timeline,
       (select s.system_identifier::text from pg_catalog.pg_control_system() s) as system_identifier
