-- Reads what is left of an answer: an error looks like an empty result here, so the end is not told from it; reading an
-- idle connection costs nothing.
create or replace function pglobalxact._drain(connection text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    for i in 1 .. 3 loop
        perform from @extschema:dblink@.dblink_get_result(connection, false) as t (tag text);
    end loop;
exception when others then
    perform pglobalxact._drop_connection(connection);
end
$$;
comment on function pglobalxact._drain(text) is 'Internal. Reads what is left of an answer after an error, or drops the connection.';
revoke all on function pglobalxact._drain(text) from public;
grant execute on function pglobalxact._drain(text) to pglobalxact_user;
