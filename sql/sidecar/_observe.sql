-- What the sidecar saw, for people to read: one node, and the branches in doubt or in trouble. Gone ones are removed; gone
-- is null when a sidecar has not told of the node before: then all others are, which an earlier sidecar may have left.
create or replace function pglobalxact._observe(nodes jsonb, branches jsonb, gone text[])
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pglobalxact.node_status as s
    select (jsonb_populate_record(null::pglobalxact.node_status, n)).* from jsonb_array_elements(nodes) n
    on conflict (node) do update set
        since = case when s.reachable = excluded.reachable then s.since else excluded.since end,
        reachable = excluded.reachable, checked_at = excluded.checked_at, fence = excluded.fence,
        latency_ms = coalesce(excluded.latency_ms, s.latency_ms), version = coalesce(excluded.version, s.version),
        prepared_max = coalesce(excluded.prepared_max, s.prepared_max), prepared_used = coalesce(excluded.prepared_used, s.prepared_used),
        finishing_as = coalesce(excluded.finishing_as, s.finishing_as), can_finish = coalesce(excluded.can_finish, s.can_finish),
        standbys = coalesce(excluded.standbys, s.standbys), timeline = coalesce(excluded.timeline, s.timeline),
        oldest_prepared_at = case when excluded.reachable then excluded.oldest_prepared_at else s.oldest_prepared_at end,
        sqlstate = excluded.sqlstate, message = excluded.message;
    insert into pglobalxact.branch_status as s (gid, set_xid, set_nonce, set_node, node, state, decision, prepared_at, owner, xid, locks, blocked, holds_back, attempts, next_retry_at, sqlstate, message)
    select b.gid, g.xid, g.nonce, g.node, b.node, b.state, b.decision, b.prepared_at, b.owner, b.xid, b.locks, b.blocked, b.holds_back, b.attempts, b.next_retry_at, b.sqlstate, b.message
    from jsonb_to_recordset(branches) as b (gid text, node integer, state text, decision text, prepared_at timestamptz, owner name,
                                            xid xid8, locks text, blocked integer, holds_back bigint, attempts integer, next_retry_at timestamptz, sqlstate text, message text)
    left join lateral pglobalxact._parse_gid(b.gid) g on true
    on conflict (gid) do update set state = excluded.state, decision = excluded.decision,
        prepared_at = coalesce(excluded.prepared_at, s.prepared_at), owner = coalesce(excluded.owner, s.owner), xid = coalesce(excluded.xid, s.xid),
        locks = coalesce(excluded.locks, s.locks), blocked = coalesce(excluded.blocked, s.blocked), holds_back = coalesce(excluded.holds_back, s.holds_back),
        attempts = excluded.attempts, next_retry_at = excluded.next_retry_at,
        sqlstate = excluded.sqlstate, message = excluded.message, seen_at = clock_timestamp();
    delete from pglobalxact.branch_status s
    where s.gid = any (gone)
       or gone is null and s.node in (select (n ->> 'node')::integer from jsonb_array_elements(nodes) n)
          and s.gid not in (select b ->> 'gid' from jsonb_array_elements(branches) b);
end
$$;
comment on function pglobalxact._observe(jsonb, jsonb, text[]) is 'Internal. Writes what the sidecar saw of nodes and branches.';
revoke all on function pglobalxact._observe(jsonb, jsonb, text[]) from public;
