-- Opens the dblink connection of one node, role and session, with the caller's own user mapping.
create or replace function pglobalxact._connect(connection text, node text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    problem text;
    detail text;
begin
    begin
        perform @extschema:dblink@.dblink_connect(connection, node);
    exception when others then
        get stacked diagnostics problem = message_text, detail = pg_exception_detail;
        perform pglobalxact._raise(sqlstate, format('cannot connect to node "%s" as role "%s": %s', node, current_user, problem), detail, case
                when sqlstate = '42704' then format('Give the role a user mapping: CREATE USER MAPPING FOR %I SERVER %I OPTIONS (user ''…'', password ''…'');', current_user, node)
                when sqlstate = '42501' then format('Let the role use the server: GRANT USAGE ON FOREIGN SERVER %I TO %I;', node, current_user)
                when sqlstate like '2F%' then 'The node must ask this role for a password, and the user mapping must hold it (a rule of dblink for roles that are not superuser).'
                else 'Is the node up? See: select * from pglobalxact.nodes();' end);
    end;
    -- The sidecar knows by this name which local session a remote session belongs to. Warnings of the node would
    -- only reach this server's log. Literals mean there what they mean to _bare_sql. A remote statement ends soon after this session is gone.
    begin
        perform @extschema:dblink@.dblink_exec(connection, format(
            'set application_name = %L; set client_min_messages = error; set standard_conforming_strings = on; ', pglobalxact._session_name())
            || pglobalxact._node_statements());
        perform @extschema:dblink@.dblink_exec(connection, 'set client_connection_check_interval = 1000', false);
    exception when query_canceled or others then
        -- Without its name the sidecar would not see it.
        perform pglobalxact._drop_connection(connection);
        raise;
    end;
end
$$;
comment on function pglobalxact._connect(text, text) is 'Internal. Connects to a node with the current role''s user mapping.';
revoke all on function pglobalxact._connect(text, text) from public;
grant execute on function pglobalxact._connect(text, text) to pglobalxact_user;
