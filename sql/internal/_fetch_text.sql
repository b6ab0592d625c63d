-- The one text value of the last statement of a string. Sent and then waited for: unlike dblink(), dblink_get_result() lets a
-- cancel (Ctrl-C, statement_timeout) through while the other side is slow.
create or replace function pglobalxact._fetch_text(connection text, statement text)
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    value text;
    last text;
begin
    perform pglobalxact._send(connection, statement);
    loop
        select t.value into value from @extschema:dblink@.dblink_get_result(connection) as t (value text);
        exit when not found;
        last := value;
    end loop;
    return last;
exception when query_canceled then
    perform pglobalxact._drop_connection(connection);
    raise;
when others then
    perform pglobalxact._drain(connection);
    raise;
end
$$;
comment on function pglobalxact._fetch_text(text, text) is 'Internal. Runs SQL on a dblink connection, interruptibly, and returns the one text value of its last statement.';
revoke all on function pglobalxact._fetch_text(text, text) from public;
grant execute on function pglobalxact._fetch_text(text, text) to pglobalxact_user;
