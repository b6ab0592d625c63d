-- Which of the roles that can log in here the sidecar may finish branches of.
select session_user as login, (select r.rolsuper from pg_catalog.pg_roles r where r.rolname = session_user) as superuser,
       coalesce((select array_agg(r.rolname::text order by r.rolname) from pg_catalog.pg_roles r
                 where r.rolcanlogin and r.rolname <> session_user and pg_has_role(session_user, r.oid, 'member')), '{}') as members,
       current_setting('max_prepared_transactions')::int as slots, current_setting('max_connections')::int as connections,
       (select count(*)::int from pg_catalog.pg_prepared_xacts) as slots_used,
       pg_is_in_recovery() as standby, current_setting('server_version_num')::int as version_num, split_part(current_setting('server_version'), ' ', 1) as version
