create or replace function pglobalxact._session_name()
returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$ select 'pgx_' || c.id || '_' || pg_backend_pid() || '_' || pglobalxact._nonce(c.id, '0', pg_postmaster_start_time()) from pglobalxact.coordinator c $$;
comment on function pglobalxact._session_name() is 'Internal. application_name of this session''s connections on nodes: pgx_<coordinator>_<local pid>_<tag of this server start>.';
revoke all on function pglobalxact._session_name() from public;
grant execute on function pglobalxact._session_name() to pglobalxact_user;
