-- The installation: its roles, owners and rights.
create or replace function pglobalxact._doctor_install(install text)
returns table (key text, found boolean, severity text, place text, finding text, why text, fix text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select 'coordinator.dblink', not exists (select from pg_extension e where e.extname = 'dblink'), 'error', 'coordinator',
           'extension dblink is missing', 'programs reach nodes through it, and requests the sidecar', install
    union all
    select 'coordinator.role', r.role is not null, 'error', 'coordinator', format('role %s is missing', r.role), 'the functions are granted to it', install
    from (select) one left join unnest(array['pglobalxact_user', 'pglobalxact_monitor', 'pglobalxact_admin']) r (role) on to_regrole(r.role) is null
    union all
    select 'coordinator.membership', m.role is not null, 'warning', 'coordinator', format('%s is not a member of %s', m.member, m.role), m.why,
           format('grant %s to %s;', m.role, m.member)
    from (select) one left join (values
        ('pglobalxact', 'pg_read_all_stats', 'the xids of running sets are not seen: they show up without their set id'),
        ('pglobalxact', 'pg_signal_backend', 'force_rollback cannot end the session of a running set'),
        ('pglobalxact_admin', 'pglobalxact_monitor', 'who may act is to see, too')) m (member, role, why)
      on to_regrole(m.member) is not null and to_regrole(m.role) is not null and not pg_has_role(to_regrole(m.member), to_regrole(m.role), 'usage')
    union all
    select 'coordinator.superuser', r.rolsuper, 'advice', 'coordinator', 'role pglobalxact is a superuser', 'nothing needs it; its functions would run as one',
           'alter role pglobalxact nosuperuser;'
    from pg_roles r where r.rolname = 'pglobalxact'
    union all
    select 'coordinator.owner', o.what is not null, 'error', 'coordinator', format('%s belongs to %s', o.what, o.owner),
           'the sidecar acts as role pglobalxact, and functions with the rights of their owner', format('alter %s owner to pglobalxact;', o.what)
    from (select) one left join (
        select 'schema pglobalxact' as what, n.nspowner::regrole as owner from pg_namespace n where n.nspname = 'pglobalxact'
        union all
        select format('%s %s', case c.relkind when 'v' then 'view' else 'table' end, c.oid::regclass), c.relowner::regrole
        from pg_class c where c.relnamespace = 'pglobalxact'::regnamespace and c.relkind in ('r', 'v')
        union all
        select format('function %s', p.oid::regprocedure), p.proowner::regrole from pg_proc p where p.pronamespace = 'pglobalxact'::regnamespace
    ) o on o.owner <> 'pglobalxact'::regrole
    union all
    select 'coordinator.public', g.what is not null, 'error', 'coordinator', format('%s is open to PUBLIC', g.what),
           'any role could plant or read what only its roles may', format('revoke all on %s from public;', g.what)
    from (select) one left join (
        select 'schema pglobalxact' as what from pg_namespace n, aclexplode(n.nspacl) a where n.nspname = 'pglobalxact' and a.grantee = 0
        union
        select 'foreign server pglobalxact_loopback' from pg_foreign_server s, aclexplode(s.srvacl) a where s.srvname = 'pglobalxact_loopback' and a.grantee = 0
        union
        select format('%s %s', case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass)
        from pg_class c, aclexplode(c.relacl) a where c.relnamespace = 'pglobalxact'::regnamespace and a.grantee = 0
        union
        select format('function %s', p.oid::regprocedure) from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        where p.pronamespace = 'pglobalxact'::regnamespace and a.grantee = 0
    ) g on true
$$;
comment on function pglobalxact._doctor_install(text) is 'Internal. What doctor() checks about the installation; install is the shell command that repairs it.';
revoke all on function pglobalxact._doctor_install(text) from public;
