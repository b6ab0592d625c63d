-- What drain() waits for; null when there is nothing. The order of the statements matters, each with a snapshot of its own
-- as it runs on the loopback: the argument stands at pglobalxact._refuse_paused.
create or replace function pglobalxact._drain_open()
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    own constant text := (select c.id from pglobalxact.coordinator c);
    in_flight jsonb;
    running text[];
    unfinished bigint;
    decided jsonb;
    doubtful bigint;
    others jsonb;
begin
    select jsonb_agg(to_jsonb(f) order by f.since, f.pid), array_agg(f.set_id) filter (where f.set_id is not null) into in_flight, running
    from (select i.pid, i.role, i.set_id, min(i.started_at) as since from pglobalxact.in_flight i group by i.pid, i.role, i.set_id) f;

    with open as (
        select r.xid, r.nonce, b.node, coalesce(s.message, case when not t.reachable then t.message end) as problem
        from pglobalxact.commit_record r
        left join pglobalxact.branch_record b on b.xid = r.xid and b.nonce = r.nonce and b.fate is null and not b.plain
        left join pglobalxact.branch_status s on s.gid = 'pgx_' || own || '_' || r.xid || '_' || r.nonce || '_' || b.node
        left join pglobalxact.node_status t on t.node = b.node
        where r.complete_at is null
    ), per_node as (
        select n.name as node, count(*) as sets, min(o.problem) as problem
        from open o left join pglobalxact.node n on n.number = o.node group by n.name
    )
    select (select count(distinct o.xid || '_' || o.nonce) from open o),
           (select jsonb_agg(to_jsonb(p) order by p.problem is null, p.node) from per_node p)
    into unfinished, decided;

    -- Prepared on a node, as the sidecar last saw it, and neither decided here nor in flight. What it leaves alone because
    -- it was made elsewhere is nobody's to wait for; what it leaves alone because its time line was lost is.
    with seen as (
        select g.xid, g.nonce, s.node, s.state, s.message
        from pglobalxact.branch_status s cross join lateral pglobalxact._parse_gid(s.gid) g
        where not exists (select from pglobalxact.commit_record r where r.xid = g.xid and r.nonce = g.nonce and r.complete_at is null)
          and g.xid || '_' || g.nonce <> all (coalesce(running, '{}'))
          and (s.state <> 'left alone' or (select d.verdict from pglobalxact._decide(s.node, array[s.gid], array['0']) d) = 'lost')
    ), per_state as (
        select n.name as node, s.state, count(*) as branches, min(s.message) as problem
        from seen s join pglobalxact.node n on n.number = s.node group by n.name, s.state
    )
    select (select count(distinct s.xid || '_' || s.nonce) from seen s), (select jsonb_agg(to_jsonb(p) order by p.node, p.state) from per_state p)
    into doubtful, others;

    if in_flight is null and unfinished + doubtful = 0 then
        return null;
    end if;
    return jsonb_build_object('sets', coalesce(jsonb_array_length(in_flight), 0) + unfinished + doubtful,
                              'in flight', coalesce(in_flight, '[]'), 'decided', coalesce(decided, '[]'), 'others', coalesce(others, '[]'));
end
$$;
comment on function pglobalxact._drain_open() is 'Internal. Sets that are open, for drain(): in flight, decided and unfinished, prepared and undecided; null when there are none.';
revoke all on function pglobalxact._drain_open() from public;
