create or replace function pglobalxact._connection_name(node text, caller oid)
returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return (select pglobalxact._connection_for('query', n.number::text, _connection_name.caller::text) from pglobalxact.node n where n.name = _connection_name.node);
end
$$;
comment on function pglobalxact._connection_name(text, oid) is 'Internal. Name of the dblink connection of a node and role in this session.';
revoke all on function pglobalxact._connection_name(text, oid) from public;
grant execute on function pglobalxact._connection_name(text, oid) to pglobalxact_user;
