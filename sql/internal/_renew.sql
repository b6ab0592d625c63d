-- Whether a failed first step of a branch may be tried once more, after making its connection fit for it: nothing of
-- this set has been done on it yet. True for a connection that is not open or has died, and for one that still
-- holds the branch of an earlier transaction of this session (a local ROLLBACK tells no one), that reads SQL otherwise, or that
-- was told DEALLOCATE ALL.
create or replace function pglobalxact._renew(connection text, node text, state text, message text)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if state = '08003' and not connection = any (coalesce(@extschema:dblink@.dblink_get_connections(), '{}')) then
        perform pglobalxact._connect(connection, node);
        return true;
    elsif state like '08%' or state like '57P0%' or state = '25P03' or state = '55000'
          or (state = '22P02' and position('pglobalxact: the settings' in message) > 0)
          or (state = '26000' and position('"pglobalxact_' in message) > 0) then
        perform pglobalxact._drop_connection(connection);
        perform pglobalxact._connect(connection, node);
        return true;
    elsif state in ('25001', '25P02') or (state = '22P02' and position('pglobalxact:' in message) > 0) then
        begin
            perform @extschema:dblink@.dblink_exec(connection, 'rollback');
        exception
            when query_canceled then
                perform pglobalxact._drop_connection(connection);
                raise;
            when others then
                -- The sidecar has just ended the older branch, and the connection with it.
                perform pglobalxact._drop_connection(connection);
                perform pglobalxact._connect(connection, node);
        end;
        return true;
    end if;
    return false;
end
$$;
comment on function pglobalxact._renew(text, text, text, text) is 'Internal. Makes a connection ready for a first step to be tried again; false when trying again cannot help.';
revoke all on function pglobalxact._renew(text, text, text, text) from public;
grant execute on function pglobalxact._renew(text, text, text, text) to pglobalxact_user;
