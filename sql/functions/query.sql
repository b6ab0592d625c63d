-- Reads rows from a node as part of the current transaction's set. Writes commit_record and branch_record.
-- Two round trips: the first opens the branch and asks for the column types, the second fetches the rows.
create or replace function pglobalxact.query(node text, sql text)
returns setof record
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    columns text;
    hint text;
begin
    perform pglobalxact._check_statement(sql);
    if sql !~* '^\s*(\(|select\M|with\M|values\M|table\M|--|/\*)' then
        raise exception 'query runs SELECT, WITH, VALUES or TABLE only'
            using errcode = 'syntax_error', hint = 'For statements that change data use pglobalxact.exec(node, sql).';
    end if;
    columns := pglobalxact._run_step(node, 'query', pglobalxact._describe(sql), true);
    begin
        return query execute format('select * from @extschema:dblink@.dblink(%L, %L) as t (%s)',
            pglobalxact._connection_name(node, current_user::regrole::oid), sql, columns);
    exception
        when query_canceled then
            perform pglobalxact._drop_connection(pglobalxact._connection_name(node, current_user::regrole::oid));
            raise;
        when datatype_mismatch then
            get stacked diagnostics hint = pg_exception_detail;
            raise exception 'the columns asked for are not those of the node''s answer'
                using errcode = 'datatype_mismatch', detail = hint,
                      hint = format('The answer''s columns are (%s): write them after "as t", or cast in the remote SQL.', columns);
    end;
end
$$;
comment on function pglobalxact.query(text, text) is
    'Rows of a SELECT on a node, read inside the current set: select * from pglobalxact.query(''b'', ''select id, n from t'') as t (id integer, n bigint). '
    'The column types must be the node''s own. A branch that only reads is committed plainly. Errors: as exec; 42804 wrong columns.';
revoke all on function pglobalxact.query(text, text) from public;
grant execute on function pglobalxact.query(text, text) to pglobalxact_user;
