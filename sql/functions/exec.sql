-- Runs SQL on a node as part of the current transaction's set. Writes commit_record; branch_record is written at COMMIT.
create or replace function pglobalxact.exec(node text, sql text)
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if pglobalxact._is_suspect(sql) then
        perform pglobalxact._check_statement(sql);
    end if;
    return pglobalxact._run_step(node, 'exec', sql, false);
end
$$;
comment on function pglobalxact.exec(text, text) is
    'Runs SQL on a node; it commits or rolls back with the local transaction. Returns the command tag of the last statement, such as UPDATE 1. '
    'The node is reached with the current role''s user mapping. Errors: those of the node; 42704 unknown node; 22023 empty SQL; 2D000 transaction control; 0A000 COPY from or to the client; 2F003 rows returned; 25006 read-only transaction.';
revoke all on function pglobalxact.exec(text, text) from public;
grant execute on function pglobalxact.exec(text, text) to pglobalxact_user;
