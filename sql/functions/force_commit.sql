create or replace function pglobalxact.force_commit(set_id text, node text default null, reason text default null, accept_mixed boolean default false)
returns table (node name, result text)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$ select * from pglobalxact._force('commit', set_id, node, reason, accept_mixed) $$;
comment on function pglobalxact.force_commit(text, text, text, boolean) is
    'Commits a set''s branches (or the one on a node) by order of a person, recorded with reason. A node that cannot be reached is no longer waited for, and commits if it ever returns. '
    'Refused while the local transaction runs, and against its decision unless accept_mixed => true. Errors: 22023 not this coordinator''s, 42704 unknown set, 55000 finished set or no sidecar.';
revoke all on function pglobalxact.force_commit(text, text, text, boolean) from public;
grant execute on function pglobalxact.force_commit(text, text, text, boolean) to pglobalxact_admin;
