-- The branches of a set that a node can be asked about, as an audit compares them. One that wrote nothing left nothing to ask for.
-- Called by functions that have pinned search_path: pinned here too, it would be called for each set instead of joined.
create or replace function pglobalxact._audited(xid xid8, nonce text, complete boolean, outcome text)
returns table (node integer, branch_xid xid8, timeline text, says text)
language sql stable
as $$
    select b.node, b.branch_xid, b.timeline, pglobalxact._record_says(b.fate, _audited.complete, _audited.outcome, f.action)
    from pglobalxact.branch_record b
    left join pglobalxact.forced f on f.gid = 'pgx_@coordinator@_' || b.xid || '_' || b.nonce || '_' || b.node
    where b.xid = _audited.xid and b.nonce = _audited.nonce and not b.plain
$$;
comment on function pglobalxact._audited(xid8, text, boolean, text) is 'Internal. What an audit is to compare of a set: its branches, and what the records say of each.';
revoke all on function pglobalxact._audited(xid8, text, boolean, text) from public;
