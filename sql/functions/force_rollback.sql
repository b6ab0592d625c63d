create or replace function pglobalxact.force_rollback(set_id text, node text default null, reason text default null, accept_mixed boolean default false, confirm text default null)
returns table (node name, now text, decision text, at_stake text, result text, confirm text)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$ select * from pglobalxact._force('rollback', $1, $2, $3, $4, $5) $$;
comment on function pglobalxact.force_rollback(text, text, text, boolean, text) is
    'Rolls a set''s branches (or the one on a node) back by order of a person. Without confirm nothing is done and the plan is returned: per node what it says now, what the decision demands, '
    'what is at stake, what would be done, and a token, void as soon as anything changes; with the token, or ''yes'', as confirm, and a reason, it acts. A set whose local transaction still runs loses its session first. '
    'A node that cannot be reached is no longer waited for, and rolls back if it ever returns. Refused against the decision unless accept_mixed => true. Errors: 22023 not this coordinator''s, or no reason; 42704 unknown set; 55000 finished set, plan changed, or no sidecar.';
revoke all on function pglobalxact.force_rollback(text, text, text, boolean, text) from public;
grant execute on function pglobalxact.force_rollback(text, text, text, boolean, text) to pglobalxact_admin;
