create or replace function pglobalxact._send(connection text, statement text)
returns void
language plpgsql volatile
as $$
begin
    if @extschema:dblink@.dblink_send_query(connection, statement) <> 1 then
        raise exception '%', @extschema:dblink@.dblink_error_message(connection) using errcode = 'connection_failure';
    end if;
end
$$;
comment on function pglobalxact._send(text, text) is 'Internal. Sends SQL on a dblink connection without waiting.';
revoke all on function pglobalxact._send(text, text) from public;
grant execute on function pglobalxact._send(text, text) to pglobalxact_user;
