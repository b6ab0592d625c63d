-- Whose branches the sidecar may finish here: nodes() shows it.
select session_user as login, (select r.rolsuper from pg_catalog.pg_roles r where r.rolname = session_user) as superuser,
       coalesce((select array_agg(r.rolname::text order by r.rolname) from pg_catalog.pg_roles r
                 where r.rolcanlogin and r.rolname <> session_user and pg_has_role(session_user, r.oid, 'member')), '{}') as members
