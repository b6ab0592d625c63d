create or replace function pglobalxact._connection_name(node text, caller oid)
returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$ select 'pgx_' || n.number || '_' || caller from pglobalxact.node n where n.name = node $$;
comment on function pglobalxact._connection_name(text, oid) is 'Internal. Name of the dblink connection of a node and role in this session.';
revoke all on function pglobalxact._connection_name(text, oid) from public;
grant execute on function pglobalxact._connection_name(text, oid) to pglobalxact_user;
