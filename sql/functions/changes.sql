create or replace function pglobalxact.changes(set_id text, node text default null)
returns table (node name, step integer, relation text, operation text, old_row jsonb, new_row jsonb, total bigint)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$ select * from pglobalxact._changes($1, $2) $$;
comment on function pglobalxact.changes(text, text) is
    'The rows that the branches of a set in doubt, or of one that is on the books as mixed, change on watched nodes: per row the operation, and the old and new values as text. '
    'Of an old row only the replica identity is known, unless that is FULL; large values that were not changed are left out. At most 1000 rows and 1 MB of values of a branch are kept: total is the true number, null where the branch was rolled back before it had been decoded: then there may be more. '
    'Errors: 22023 not this coordinator''s, 42704 unknown node.';
revoke all on function pglobalxact.changes(text, text) from public;
grant execute on function pglobalxact.changes(text, text) to pglobalxact_admin;
