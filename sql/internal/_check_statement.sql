-- Refuses, before anything is sent, what exec and query cannot carry: nothing at all, and transaction control.
-- A transaction command hidden from this look (inside a DO, a function, an odd literal) is caught by the step check.
create or replace function pglobalxact._check_statement(sql text)
returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    bare text := sql;
    command text;
    control constant text :=
        '(?:^|;)\s*(begin(?!\s+atomic)|start\s+transaction|commit|end|rollback|abort|savepoint|release|prepare\s+transaction)\M';
begin
    if sql is null or sql ~ '^[\s;]*$' then
        raise exception 'there is no SQL to run on the node'
            using errcode = 'invalid_parameter_value', hint = 'Give a statement, such as: select pglobalxact.exec(''b'', ''update t set n = n + 1'');';
    end if;
    -- Only text that could hold such a command, or only comments, is worth stripping literals and comments from.
    if sql ~* ('(?:^|;|/|--)[\s\S]*?\m(begin|start|commit|end|rollback|abort|savepoint|release|prepare)\M') or sql ~ '^\s*(--|/\*)' then
        bare := regexp_replace(bare, '[eE]''(?:[^''\\]|\\.|'''')*''', '''''', 'g');
        bare := regexp_replace(bare, '(\$[^$\s]*\$)[\s\S]*?\1|''(?:[^'']|'''')*''|"(?:[^"]|"")*"|--[^\n]*|/\*[\s\S]*?\*/', ' ', 'g');
        if bare ~ '^[\s;]*$' and sql !~ '["'']|\$' then
            raise exception 'there is no SQL to run on the node' using errcode = 'invalid_parameter_value',
                hint = 'The text holds comments only.';
        end if;
        if bare ~* '\mbegin\s+atomic\M' then
            return;
        end if;
        command := upper((regexp_match(bare, control, 'i'))[1]);
        if command is not null then
            raise exception '% cannot be run on a node: the local transaction decides for all nodes', command
                using errcode = 'invalid_transaction_termination',
                      hint = 'Leave transaction control out of the SQL; COMMIT or ROLLBACK the local transaction.';
        end if;
    end if;
end
$$;
comment on function pglobalxact._check_statement(text) is 'Internal. ERROR 22023 for empty SQL, 2D000 for transaction control.';
revoke all on function pglobalxact._check_statement(text) from public;
grant execute on function pglobalxact._check_statement(text) to pglobalxact_user;
