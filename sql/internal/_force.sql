-- force_commit and force_rollback are one thing in two directions.
create or replace function pglobalxact._force(action text, set_id text, node text, reason text, accept_mixed boolean, confirm text)
returns table (branch_node name, now text, decision text, at_stake text, result text, token text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    key record := pglobalxact._set_key(_force.set_id);
    set_named constant text := key.xid || '_' || key.nonce;
    only_node name := coalesce(_force.node, (select n.name from pglobalxact.node n where n.number = key.node));
begin
    perform pglobalxact._require_node(_force.node);
    return query
    select r.node, r.now, r.decision, r.at_stake, r.result, r.confirm
    from pglobalxact._planned('force',
        jsonb_build_object('action', action, 'set', set_named, 'node', only_node, 'reason', reason, 'accept_mixed', accept_mixed, 'confirm', confirm),
        format('select * from pglobalxact.force_%s(%L', action, set_named)
            || case when only_node is not null then format(', node => %L', only_node) else '' end || case when accept_mixed then ', accept_mixed => true' else '' end) r;
end
$$;
comment on function pglobalxact._force(text, text, text, text, boolean, text) is 'Internal. Has the sidecar plan or carry out a force of a set or one branch of it.';
revoke all on function pglobalxact._force(text, text, text, text, boolean, text) from public;
