create or replace function pglobalxact._drop_connection(connection text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if connection = any (coalesce(@extschema:dblink@.dblink_get_connections(), '{}')) then
        perform @extschema:dblink@.dblink_disconnect(connection);
    end if;
end
$$;
comment on function pglobalxact._drop_connection(text) is 'Internal. Closes a dblink connection if it is open.';
revoke all on function pglobalxact._drop_connection(text) from public;
grant execute on function pglobalxact._drop_connection(text) to pglobalxact_user;
