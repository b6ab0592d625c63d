-- Runs statements of ours, each committed by itself, on a connection of its own to this very database, so that it commits whatever the
-- caller's transaction does. The connection is closed before returning: it has rights that the caller has not,
-- and a dblink connection left open could be used by anyone in the session.
create or replace function pglobalxact._on_loopback(variadic statements text[])
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    connection constant text := 'pgx_loopback_' || gen_random_uuid();
    statement text;
    answer text;
    cause text;
begin
    begin
        begin
            perform @extschema:dblink@.dblink_connect_u(connection, 'pglobalxact_loopback');
        exception
            when sqlclient_unable_to_establish_sqlconnection or undefined_object or invalid_password then
                get stacked diagnostics cause = pg_exception_detail;
                perform pglobalxact._raise(sqlstate, format('this database cannot connect to itself: %s', sqlerrm), cause,
                    'Check the options of foreign server pglobalxact_loopback (host, port, dbname) and pg_hba.conf, then run "make install-sql" again.');
        end;
        -- A database may have other defaults. Whoever looks from here counts on every statement's having its own snapshot.
        perform @extschema:dblink@.dblink_exec(connection,
            'set default_transaction_isolation = ''read committed''; set default_transaction_read_only = off; set default_transaction_deferrable = off');
        -- What a caller no longer waits for ends soon after.
        perform @extschema:dblink@.dblink_exec(connection, 'set client_connection_check_interval = 1000', false);
        foreach statement in array statements loop
            answer := pglobalxact._fetch_text(connection, statement);
        end loop;
    exception when query_canceled or others then
        perform pglobalxact._drop_connection(connection);
        raise;
    end;
    perform @extschema:dblink@.dblink_disconnect(connection);
    return answer;
end
$$;
comment on function pglobalxact._on_loopback(text[]) is 'Internal. Runs statements on a loopback connection and returns the one text value of the last.';
revoke all on function pglobalxact._on_loopback(text[]) from public;
