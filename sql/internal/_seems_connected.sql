-- Whether a connection is open as far as can be told without asking the node. Looking whether it is busy reads what has come in: the
-- first look may find the node's farewell, the second that the connection has ended.
create or replace function pglobalxact._seems_connected(connection text)
returns boolean
language sql volatile
return case when coalesce(connection = any (@extschema:dblink@.dblink_get_connections()), false)
    then case when @extschema:dblink@.dblink_is_busy(connection) = 0
        then case when @extschema:dblink@.dblink_is_busy(connection) = 0 then @extschema:dblink@.dblink_error_message(connection) = 'OK' else false end
        else false end
    else false end;
comment on function pglobalxact._seems_connected(text) is 'Internal. False when a dblink connection is not open, is busy, or has been found to be lost.';
revoke all on function pglobalxact._seems_connected(text) from public;
grant execute on function pglobalxact._seems_connected(text) to pglobalxact_user;
