create or replace function pglobalxact.force_rollback(set_id text, node text default null, reason text default null, accept_mixed boolean default false)
returns table (node name, result text)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$ select * from pglobalxact._force('rollback', set_id, node, reason, accept_mixed) $$;
comment on function pglobalxact.force_rollback(text, text, text, boolean) is
    'Rolls a set''s branches back (or the one on a node) by order of a person, recorded with reason. If the local transaction still runs, its session is ended first. '
    'Refused for a committed set unless accept_mixed => true: that set is then mixed. Errors: 22023 not this coordinator''s, 42704 unknown set, 55000 finished set or no sidecar.';
revoke all on function pglobalxact.force_rollback(text, text, text, boolean) from public;
grant execute on function pglobalxact.force_rollback(text, text, text, boolean) to pglobalxact_admin;
