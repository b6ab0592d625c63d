-- Refuses, before anything is sent, what exec and query cannot carry: nothing at all, COPY through the client, and
-- transaction control. The step check would notice a COMMIT too, but only after the node has committed.
-- A transaction command that some function runs is refused by the node itself: it is inside a transaction block.
create or replace function pglobalxact._check_statement(sql text)
returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp set standard_conforming_strings = on
as $$
declare
    bare text;
    statement text;
    command text;
    before_body text;
    in_body boolean := false; -- of a function in SQL, BEGIN ATOMIC … END
begin
    if sql is null or sql collate "C" ~ '^[\s;]*$' then
        raise exception 'there is no SQL to run on the node'
            using errcode = 'invalid_parameter_value', hint = 'Give a statement, such as: select pglobalxact.exec(''b'', ''update t set n = n + 1'');';
    end if;
    if not pglobalxact._is_suspect(sql) then
        return;
    end if;
    bare := pglobalxact._bare_sql(sql);
    if bare collate "C" ~ '^[\s;]*$' then
        raise exception 'there is no SQL to run on the node' using errcode = 'invalid_parameter_value',
            hint = 'The text holds comments only.';
    end if;
    foreach statement in array string_to_array(bare, ';') loop
        command := upper(regexp_replace((regexp_match(statement collate "C",
            '^\s*(begin|start\s+transaction|commit|end|rollback|abort|savepoint|release|prepare\s+transaction)\M', 'i'))[1], '\s+', ' ') collate "C");
        if command = 'END' and in_body then
            in_body := false;
        elsif command is not null then
            raise exception '% cannot be run on a node: the local transaction decides for all nodes', command
                using errcode = 'invalid_transaction_termination',
                      hint = 'Leave transaction control out of the SQL; COMMIT or ROLLBACK the local transaction.';
        elsif statement collate "C" ~* '^\s*create\s+(or\s+replace\s+)?(function|procedure)\M' then
            -- No other command can stand in such a body, and its END comes behind a semicolon, or at once. In parentheses
            -- these words can only be a parameter.
            before_body := (regexp_match(statement collate "C", '^(.*?)\mbegin\s+atomic\M(?!\s*end\M)', 'i'))[1];
            in_body := coalesce(length(replace(before_body, '(', '')) = length(replace(before_body, ')', '')), false);
        elsif statement collate "C" ~* '^\s*copy\M.*\m(from\s+stdin|to\s+stdout)\M' then
            raise exception 'COPY FROM STDIN and COPY TO STDOUT cannot be run on a node'
                using errcode = 'feature_not_supported',
                      hint = 'Use INSERT and pglobalxact.query(node, sql), or copy on a connection of the program''s own: pglobalxact.enlist(node).';
        end if;
    end loop;
end
$$;
comment on function pglobalxact._check_statement(text) is 'Internal. ERROR 22023 for empty SQL, 2D000 for transaction control, 0A000 for COPY through the client.';
revoke all on function pglobalxact._check_statement(text) from public;
grant execute on function pglobalxact._check_statement(text) to pglobalxact_user;
