create or replace function pglobalxact.lose_node(node text, reason text default null, confirm text default null)
returns table (set_id text, node name, now text, decision text, at_stake text, result text, confirm text)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    select * from pglobalxact._planned('lose_node', jsonb_build_object('node', $1, 'reason', $2, 'confirm', $3), format('select * from pglobalxact.lose_node(%L', $1))
$$;
comment on function pglobalxact.lose_node(text, text, text) is
    'Declares a node lost that will not come back: no set waits for it any more and no new set may use it. Decides nothing: committed sets with a branch there stay on the books as unknown until acknowledged, '
    'and should the node come back after all, its branches are settled by the commit records. add_node takes it back. Without confirm the plan is returned, as by force_commit. '
    'Errors: 42704 unknown node; 55000 the node answers, plan changed, or no sidecar; 22023 no reason.';
revoke all on function pglobalxact.lose_node(text, text, text) from public;
grant execute on function pglobalxact.lose_node(text, text, text) to pglobalxact_admin;
