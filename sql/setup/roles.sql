-- The roles of pglobalxact, created where missing. Run by the installing role, which needs CREATEROLE.
do $roles$
begin
    if to_regrole('pglobalxact') is null then
        create role pglobalxact login;
    end if;
    if to_regrole('pglobalxact_user') is null then
        create role pglobalxact_user nologin;
    end if;
    if to_regrole('pglobalxact_monitor') is null then
        create role pglobalxact_monitor nologin;
    end if;
    if to_regrole('pglobalxact_admin') is null then
        create role pglobalxact_admin nologin;
    end if;
    if not pg_has_role('pglobalxact_admin', 'pglobalxact_monitor', 'member') then
        grant pglobalxact_monitor to pglobalxact_admin;
    end if;
    -- The installer hands the objects to pglobalxact, so it must be able to become it.
    if not pg_has_role(current_user, 'pglobalxact', 'member') then
        execute format('grant pglobalxact to %I', current_user);
    end if;
end
$roles$;
