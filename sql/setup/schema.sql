-- The schema, owned by role pglobalxact, and what that role needs of the server. Run by the installing role.
create schema if not exists pglobalxact authorization pglobalxact;
comment on schema pglobalxact is 'Distributed transactions for plain PostgreSQL. Start with: \df pglobalxact.[a-z]*';
revoke all on schema pglobalxact from public;
grant usage on schema pglobalxact to pglobalxact_user, pglobalxact_monitor, pglobalxact_admin;

-- The loopback (requests of a DBA, committed at once) connects with dblink_connect_u, which needs no password rule.
grant execute on function @extschema:dblink@.dblink_connect_u(text, text) to pglobalxact;
-- Programs call dblink as themselves: their own user mappings count.
grant usage on schema @extschema:dblink@ to pglobalxact, pglobalxact_user;
-- By name, so that PUBLIC needs none of it (see setup/dblink.sql). Who may not grant this relies on PUBLIC's rights.
do $dblink$
declare
    f record;
begin
    for f in select p.oid::regprocedure as signature from pg_depend d join pg_extension e on e.oid = d.refobjid join pg_proc p on p.oid = d.objid
             where d.classid = 'pg_proc'::regclass and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and e.extname = 'dblink'
               and p.proname not in ('dblink_connect_u', 'dblink_fdw_validator') and has_function_privilege(p.oid, 'execute with grant option') loop
        execute format('grant execute on function %s to pglobalxact, pglobalxact_user', f.signature);
    end loop;
end
$dblink$;

-- Seeing who holds a lock, and ending a session whose set is forced to roll back, are helpful but not essential.
do $grants$
declare
    helper text;
begin
    foreach helper in array array['pg_read_all_stats', 'pg_signal_backend'] loop
        begin
            if not pg_has_role('pglobalxact', helper, 'member') then
                execute format('grant %I to pglobalxact', helper);
            end if;
        exception when insufficient_privilege then
            raise warning 'could not grant % to pglobalxact', helper
                using hint = format('Ask a superuser to run: GRANT %I TO pglobalxact;', helper);
        end;
    end loop;
end
$grants$;

-- postgres-migrations looks for its table in any schema; ours exists before it looks.
create table if not exists pglobalxact.migrations (
    id          integer   primary key,
    name        varchar(100) unique not null,
    hash        varchar(40) not null,
    executed_at timestamp default current_timestamp
);
alter table pglobalxact.migrations owner to pglobalxact;
comment on table pglobalxact.migrations is 'Which numbered migrations this schema has had.';
