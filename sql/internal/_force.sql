-- force_commit and force_rollback are one thing in two directions.
create or replace function pglobalxact._force(action text, set_id text, node text, reason text, accept_mixed boolean)
returns table (branch_node name, result text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    key record := pglobalxact._set_key(_force.set_id);
    only_node name := coalesce(_force.node, (select n.name from pglobalxact.node n where n.number = key.node));
begin
    perform pglobalxact._require_reason(reason, format('select * from pglobalxact.force_%s(%L, reason => ''node b is lost, ticket 4711'');', action, _force.set_id));
    if _force.node is not null and not exists (select from pglobalxact.node n where n.name = _force.node) then
        raise exception 'node "%" does not exist', _force.node using errcode = 'undefined_object', hint = 'See: select * from pglobalxact.nodes();';
    end if;
    return query
    select r.node, r.result
    from jsonb_to_recordset(pglobalxact._request('force', jsonb_build_object('action', action, 'set', key.xid || '_' || key.nonce,
             'node', only_node, 'reason', reason, 'accept_mixed', accept_mixed, 'by', session_user))) as r (node name, result text);
end
$$;
comment on function pglobalxact._force(text, text, text, text, boolean) is 'Internal. Has the sidecar force a set or one branch of it.';
revoke all on function pglobalxact._force(text, text, text, text, boolean) from public;
