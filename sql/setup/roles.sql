-- The roles of pglobalxact, created where missing. Run by the installing role, which needs CREATEROLE.
do $roles$
declare
    wanted record;
    -- Since PostgreSQL 16 whoever creates a role is its member, but may not become it before granting itself that.
    become constant text := case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end;
begin
    for wanted in select * from (values ('pglobalxact', 'login'), ('pglobalxact_user', 'nologin'),
                                        ('pglobalxact_monitor', 'nologin'), ('pglobalxact_admin', 'nologin')) as v (role, kind) loop
        if to_regrole(wanted.role) is null then
            execute format('create role %I %s', wanted.role, wanted.kind);
        end if;
    end loop;
    if not pg_has_role('pglobalxact_admin', 'pglobalxact_monitor', 'member') then
        grant pglobalxact_monitor to pglobalxact_admin;
    end if;
    -- The installer hands the objects to pglobalxact, so it must be able to become it.
    if not pg_has_role(current_user, 'pglobalxact', become) then
        execute format('grant pglobalxact to %I', current_user);
    end if;
end
$roles$;
