-- Refuses, before anything is sent, what exec and query cannot carry: nothing at all, COPY through the client, and
-- transaction control. The step check would notice a COMMIT too, but only after the node has committed.
-- A transaction command hidden from this look (inside a function, an odd literal) is caught by the step check.
create or replace function pglobalxact._check_statement(sql text)
returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    bare text;
    command text;
    -- E'…', $tag$…$tag$, '…', "…" and comments. {1,1}? has each end at its first possible end: alone, alternatives match as
    -- much as they can, and what stands between two comments would go with them.
    quoted constant text :=
        '(?:(?<![[:alnum:]_$])[eE]''(?:[^''\\]|\\.|'''')*''(?!'')|(?<![[:alnum:]_$])(\$(?:[[:alpha:]_][[:alnum:]_]*)?\$).*?\1'
        '|''(?:[^'']|'''')*''(?!'')|"[^"]*"|--[^\n]*(?:\n|$)|/\*.*?\*/){1,1}?';
    control constant text :=
        '(?:^|;)\s*(begin|start\s+transaction|commit|end|rollback|abort|savepoint|release|prepare\s+transaction)\M';
begin
    if sql is null or sql ~ '^[\s;]*$' then
        raise exception 'there is no SQL to run on the node'
            using errcode = 'invalid_parameter_value', hint = 'Give a statement, such as: select pglobalxact.exec(''b'', ''update t set n = n + 1'');';
    end if;
    -- Only text that could hold such a command, or only comments, is worth stripping literals and comments from.
    if sql ~* '\m(begin|start|commit|end|rollback|abort|savepoint|release|prepare|stdin|stdout)\M' or sql ~ '^[\s;]*(--|/\*)' then
        bare := regexp_replace(sql, quoted, ' ', 'g');
        if bare ~ '^[\s;]*$' then
            raise exception 'there is no SQL to run on the node' using errcode = 'invalid_parameter_value',
                hint = 'The text holds comments only.';
        end if;
        -- The body of a function in SQL, whose statements the node does not run now.
        bare := regexp_replace(bare, '\mbegin\s+atomic\M.*\mend\M', ' ', 'i');
        command := upper(regexp_replace((regexp_match(bare, control, 'i'))[1], '\s+', ' '));
        if command is not null then
            raise exception '% cannot be run on a node: the local transaction decides for all nodes', command
                using errcode = 'invalid_transaction_termination',
                      hint = 'Leave transaction control out of the SQL; COMMIT or ROLLBACK the local transaction.';
        end if;
        if bare ~* '(?:^|;)\s*copy\M[^;]*\m(?:from\s+stdin|to\s+stdout)\M' then
            raise exception 'COPY FROM STDIN and COPY TO STDOUT cannot be run on a node'
                using errcode = 'feature_not_supported',
                      hint = 'Use INSERT and pglobalxact.query(node, sql), or copy on a connection of the program''s own: pglobalxact.enlist(node).';
        end if;
    end if;
end
$$;
comment on function pglobalxact._check_statement(text) is 'Internal. ERROR 22023 for empty SQL, 2D000 for transaction control, 0A000 for COPY through the client.';
revoke all on function pglobalxact._check_statement(text) from public;
grant execute on function pglobalxact._check_statement(text) to pglobalxact_user;
