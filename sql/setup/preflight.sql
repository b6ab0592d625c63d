-- What the installing role has and lacks, in one row.
select current_user::text as role, current_setting('is_superuser')::boolean as superuser, current_database()::text as database,
       current_setting('server_version_num')::int as version, current_setting('server_version') as version_name, pg_is_in_recovery() as standby,
       exists (select from pg_available_extensions a where a.name = 'dblink') as dblink_available,
       d.oid is not null as dblink_installed, quote_ident(d.nspname) as dblink_schema,
       coalesce(has_function_privilege(d.connect_u, 'execute with grant option'), false) as connect_u,
       coalesce((select has_foreign_data_wrapper_privilege(w.oid, 'usage with grant option') from pg_foreign_data_wrapper w where w.fdwname = 'dblink_fdw'), false) as foreign_data_wrapper,
       (select string_agg(r, ', ') from unnest(array['pglobalxact', 'pglobalxact_user', 'pglobalxact_monitor', 'pglobalxact_admin']) r where to_regrole(r) is null) as roles_missing,
       (select r.rolcreaterole or r.rolsuper from pg_roles r where r.rolname = current_user) as create_role,
       coalesce(pg_has_role(to_regrole('pglobalxact'), 'member'), true)
           or current_setting('server_version_num')::int < 160000 and (select r.rolcreaterole from pg_roles r where r.rolname = current_user) as becomes_owner,
       (select o.rolname from pg_foreign_server s join pg_roles o on o.oid = s.srvowner
        where s.srvname = 'pglobalxact_loopback' and not pg_has_role(s.srvowner, 'usage')) as loopback_owner,
       -- The login of this database's loopback, if another role made it: since 16 its password can be changed with ADMIN OPTION only.
       (select min(r.rolname::text) from pg_shdepend s join pg_roles r on r.oid = s.refobjid
        where s.refclassid = 'pg_authid'::regclass and s.dbid = (select b.oid from pg_database b where b.datname = current_database())
          and r.rolname ~ '^pglobalxact_loopback_[0-9a-f]{8}$' and current_setting('server_version_num')::int >= 160000
          and not pg_has_role(r.oid, 'member with admin option')) as loopback_role,
       has_database_privilege(current_database(), 'create') as create_schema
from (select 1) one
left join lateral (
    select e.oid, n.nspname, (select p.oid from pg_proc p where p.pronamespace = n.oid and p.proname = 'dblink_connect_u' and p.pronargs = 2) as connect_u
    from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'dblink'
) d on true
