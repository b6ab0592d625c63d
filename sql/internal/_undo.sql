-- Best effort after a failed PREPARE elsewhere: what cannot be undone now is settled by recovery.
create or replace function pglobalxact._undo(connection text, statement text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform @extschema:dblink@.dblink_exec(connection, statement);
exception when query_canceled or others then
    perform pglobalxact._drop_connection(connection);
end
$$;
comment on function pglobalxact._undo(text, text) is 'Internal. Rolls a branch back after the set failed to prepare.';
revoke all on function pglobalxact._undo(text, text) from public;
