-- Branches that were committed on a node and are so no more: a failover or a restore took it back to before. Their sets are mixed, on
-- the books again, and each has its event. Said once, however often it is found.
create or replace function pglobalxact._went_back(on_node integer, branches jsonb)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    with gone as (
        update pglobalxact.branch_record b set fate = 'rolled back', finished_at = clock_timestamp()
        from jsonb_to_recordset(branches) as g (xid xid8, nonce text)
        where b.xid = g.xid and b.nonce = g.nonce and b.node = on_node and b.fate is distinct from 'rolled back'
        returning b.xid, b.nonce
    ), sets as (
        update pglobalxact.commit_record r set outcome = 'mixed', acknowledged_at = null
        from gone g where r.xid = g.xid and r.nonce = g.nonce and r.complete_at is not null
    )
    insert into pglobalxact.event (kind, set_id, node, detail)
    select 'mixed', g.xid || '_' || g.nonce, on_node,
           'committed on this node before, and not any more: a failover or a restore took the node back to before it was prepared'
    from gone g;
end
$$;
comment on function pglobalxact._went_back(integer, jsonb) is 'Internal. Sets that a node had committed and has lost are mixed from now on.';
revoke all on function pglobalxact._went_back(integer, jsonb) from public;
