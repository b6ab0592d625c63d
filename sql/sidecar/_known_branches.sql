-- Branches of one set, or of all sets that are not over, for the plan of a force. Of a set that is over: what its record says.
create or replace function pglobalxact._known_branches(of_set text)
returns table (node integer, name name, gid text, state text, decision text, owner name, locks text, blocked integer, holds_back bigint)
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select b.node, n.name, b.gid, b.state, b.decision, b.owner, b.locks, b.blocked, b.holds_back
    from pglobalxact.open_branch b join pglobalxact.node n on n.number = b.node
    where of_set is null or b.set_id = of_set
    union all
    select b.node, n.name, 'pgx_' || c.id || '_' || b.xid || '_' || b.nonce || '_' || b.node, coalesce(b.fate, r.outcome), 'commit', b.owner, null, null, null
    from pglobalxact._parse_gid(of_set) k
    join pglobalxact.commit_record r on r.xid = k.xid and r.nonce = k.nonce and r.complete_at is not null
                                    and (r.outcome = 'committed' or r.acknowledged_at is not null)
    join pglobalxact.branch_record b on b.xid = r.xid and b.nonce = r.nonce
    join pglobalxact.node n on n.number = b.node
    cross join pglobalxact.coordinator c
$$;
comment on function pglobalxact._known_branches(text) is 'Internal. The branches of a set, or of all that are not over, as the tables have them.';
revoke all on function pglobalxact._known_branches(text) from public;
