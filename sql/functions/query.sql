-- Reads rows from a node as part of the current transaction's set. Writes commit_record; branch_record is written at COMMIT.
-- Two round trips: the first opens the branch and asks for the column types, the second fetches the rows.
create or replace function pglobalxact.query(node text, sql text)
returns setof record
language plpgsql volatile
set search_path = pg_catalog, pg_temp set standard_conforming_strings = on
as $$
declare
    columns text;
    hint text;
    connection constant text := pglobalxact._connection_name(node, quote_ident(current_user)::regrole::oid);
begin
    perform pglobalxact._check_statement(sql);
    if sql collate "C" !~* '^\s*(\(|select\M|with\M|values\M|table\M|--|/\*)' then
        raise exception 'query runs SELECT, WITH, VALUES or TABLE only'
            using errcode = 'syntax_error', hint = 'For statements that change data use pglobalxact.exec(node, sql).';
    end if;
    columns := pglobalxact._run_step(node, 'query', pglobalxact._describe(rtrim(sql, E' ;\t\r\n')), true);
    begin
        perform pglobalxact._send(connection, sql);
        return query execute format('select * from @extschema:dblink@.dblink_get_result(%L) as t (%s)', connection, columns);
        perform pglobalxact._read_tag(connection, null);
    exception
        when query_canceled then
            perform pglobalxact._drop_connection(connection);
            perform pglobalxact._explain_cancel();
            raise;
        when datatype_mismatch then
            get stacked diagnostics hint = pg_exception_detail;
            perform pglobalxact._drain(connection);
            raise exception 'the columns asked for are not those of the node''s answer'
                using errcode = 'datatype_mismatch', detail = hint,
                      hint = format('The answer''s columns are (%s): write them after "as t", or cast in the remote SQL.', columns);
        when undefined_object or invalid_schema_name then
            get stacked diagnostics hint = message_text;
            perform pglobalxact._drain(connection);
            raise exception '%', hint using errcode = sqlstate,
                hint = format('The answer''s columns are (%s): a type that only the node has must be cast in the remote SQL, as in "kind::text".', columns);
        when others then
            perform pglobalxact._drain(connection);
            raise;
    end;
end
$$;
comment on function pglobalxact.query(text, text) is
    'Rows of a SELECT on a node, read inside the current set: select * from pglobalxact.query(''b'', ''select id, n from t'') as t (id integer, n bigint). '
    'The column types must be the node''s own. A branch that only reads is committed plainly. Errors: as exec; 42804 wrong columns.';
revoke all on function pglobalxact.query(text, text) from public;
grant execute on function pglobalxact.query(text, text) to pglobalxact_user;
