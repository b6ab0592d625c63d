create or replace function pglobalxact.repair_sql(set_id text, toward text default null)
returns table (node name, step integer, statement text, problem text)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$ select * from pglobalxact._repair($1, $2) $$;
comment on function pglobalxact.repair_sql(text, text) is
    'For a set some branch of which went the other way, on watched nodes: the statements, to be looked at and run there by a person, that bring each such node into line: what a branch that was rolled back did is done again, '
    'what one that was committed did is undone, row by row from the last. Each changes exactly one row or fails, and with it the transaction they stand in. toward: commit or rollback; by default the way of the local transaction. '
    'problem says what cannot be repaired: truncates; to undo an update or a delete where the table''s replica identity is not FULL; rows that were not kept. Nothing is run. Errors: 22023 not this coordinator''s, 55000 not decided.';
revoke all on function pglobalxact.repair_sql(text, text) from public;
grant execute on function pglobalxact.repair_sql(text, text) to pglobalxact_admin;
