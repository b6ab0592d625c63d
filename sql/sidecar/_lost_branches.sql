create or replace function pglobalxact._lost_branches(on_node integer)
returns setof jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select pglobalxact._set_facts(r)
    from pglobalxact.branch_record b join pglobalxact.commit_record r on r.xid = b.xid and r.nonce = b.nonce
    where b.node = on_node and b.fate = 'lost'
$$;
comment on function pglobalxact._lost_branches(integer) is 'Internal. Commit records with a branch on this node that nobody waits for any more.';
revoke all on function pglobalxact._lost_branches(integer) from public;
