-- Branches of complete sets that were committed on a node on another time line than its present one, the newest first, from where the
-- last batch ended. Nothing while the node is on the time line that was last seen through: that is all but always so, and the table long.
create or replace function pglobalxact._finished_there(on_node integer, here text, before timestamptz, before_xid xid8, batch integer default 500)
returns table (xid xid8, nonce text, branch_xid xid8, complete_at timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select r.xid, r.nonce, b.branch_xid, r.complete_at
    from pglobalxact.commit_record r join pglobalxact.branch_record b on b.xid = r.xid and b.nonce = r.nonce and b.node = on_node
    where exists (select from pglobalxact.node_status s where s.node = on_node and s.timeline <> here)
      and r.complete_at is not null and b.timeline <> here and b.branch_xid is not null and not b.plain
      and (b.fate = 'committed' or b.fate is null and r.outcome = 'committed')
      and (before is null or (r.complete_at, r.xid) < (before, before_xid))
    order by r.complete_at desc, r.xid desc limit batch
$$;
comment on function pglobalxact._finished_there(integer, text, timestamptz, xid8, integer) is
    'Internal. A batch of branches that a node had committed before its time line changed, for the sidecar to see whether they still are.';
revoke all on function pglobalxact._finished_there(integer, text, timestamptz, xid8, integer) from public;
