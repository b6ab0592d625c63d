-- The statements that make (or repair) the loopback. $1: a new password. An existing server keeps its options: a DBA may have
-- pointed it elsewhere (a socket directory, another host name for this server).
select 'pglobalxact_loopback_' || c.id as role, array_remove(array[
    case when to_regrole('pglobalxact_loopback_' || c.id) is null then format('create role %I login password %L', 'pglobalxact_loopback_' || c.id, $1::text)
         else format('alter role %I password %L', 'pglobalxact_loopback_' || c.id, $1::text) end,
    format('grant usage on schema pglobalxact to %I', 'pglobalxact_loopback_' || c.id),
    format('grant connect on database %I to %I', current_database(), 'pglobalxact_loopback_' || c.id),
    case when s.oid is null then format('create server pglobalxact_loopback foreign data wrapper dblink_fdw options (host %L, port %L, dbname %L)',
        '127.0.0.1', current_setting('port'), current_database()) end,
    format('drop user mapping if exists for %I server pglobalxact_loopback', u.rolname),
    format('create user mapping for %I server pglobalxact_loopback options (user %L, password %L)', u.rolname, 'pglobalxact_loopback_' || c.id, $1::text)
], null) as statements
from pglobalxact.coordinator c
left join pg_foreign_server s on s.srvname = 'pglobalxact_loopback'
-- dblink_connect_u is SECURITY DEFINER: it looks for the user mapping of its own owner.
cross join (select o.rolname from pg_extension e join pg_proc p on p.pronamespace = e.extnamespace and p.proname = 'dblink_connect_u' and p.pronargs = 2
            join pg_roles o on o.oid = p.proowner where e.extname = 'dblink') u
