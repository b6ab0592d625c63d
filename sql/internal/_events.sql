-- The events of transactions that are visible in "upto" and not in "after".
--
-- Every event is a row of the transaction whose xid it bears, and no such row is ever changed or, before the purge, deleted: so what
-- is visible in a snapshot now is what was and will be, and two snapshots always have the same events between them. A sequence of
-- snapshots, each covering the one before, has each event in exactly one gap, however late its transaction commits.
--
-- Those transactions are: from the end of "after" on, all that are visible in "upto"; before it, those that "after" has in its list of
-- transactions in progress and "upto" has not. A transaction that stays open for hours holds back xmin, and with it any range
-- that begins there: this one begins at xmax, and the list costs one look each. The conditions stand out here with nothing
-- around them, for the planner: all four indexes begin with the xid. This function has no settings of its own, so that it is inlined.
--
-- In order: a set's own transaction has the lowest of its xids, as whoever writes of it later has seen it, or its branch.
create or replace function pglobalxact._events(after pg_snapshot, upto pg_snapshot)
returns table (xid xid8, stage integer, nth bigint, at timestamptz, what text, set_id text, node integer, number bigint, who text, detail text)
language sql stable rows 1000
as $$
    with sets as materialized (
        select r.xid, r.nonce, r.started_at, r.role, concat_ws(', ', nullif(r.application_name, ''), 'from ' || pg_catalog.host(r.client_addr)) as place
        from pglobalxact.commit_record r
        where (r.xid >= pg_catalog.pg_snapshot_xmax(after) and r.xid < pg_catalog.pg_snapshot_xmax(upto)
               or r.xid = any (array(select x from pg_catalog.pg_snapshot_xip(after) x where pg_catalog.pg_visible_in_snapshot(x, upto))))
          and pg_catalog.pg_visible_in_snapshot(r.xid, upto)
    ), branches as materialized (
        select b.xid, b.nonce, b.node, b.plain, b.number, b.owner
        from pglobalxact.branch_record b
        where (b.xid >= pg_catalog.pg_snapshot_xmax(after) and b.xid < pg_catalog.pg_snapshot_xmax(upto)
               or b.xid = any (array(select x from pg_catalog.pg_snapshot_xip(after) x where pg_catalog.pg_visible_in_snapshot(x, upto))))
          and pg_catalog.pg_visible_in_snapshot(b.xid, upto)
    ), numbers as (
        select b.xid, b.nonce, max(b.number) as number, bool_and(b.plain) as plain from branches b group by b.xid, b.nonce
    )
    select s.xid, 0, 0::bigint, s.started_at, 'registered', s.xid || '_' || s.nonce, null::integer, null::bigint, s.role::text, s.place from sets s
    union all
    select b.xid, 1, b.node::bigint, null, 'prepared', b.xid || '_' || b.nonce, b.node, null, b.owner::text, '' from branches b where not b.plain
    union all
    select s.xid, 2, 0, pglobalxact._commit_time(s.xid), 'decided', s.xid || '_' || s.nonce, null, n.number, s.role::text, 'commit'
    from sets s left join numbers n on n.xid = s.xid and n.nonce = s.nonce
    union all
    -- Of a set that wrote on no node nothing is left to do, and nobody writes that down.
    select s.xid, 3, 0, null, 'finished', s.xid || '_' || s.nonce, null, null, null, 'committed'
    from sets s left join numbers n on n.xid = s.xid and n.nonce = s.nonce where n.plain is not false
    union all
    select f.xid, 4, f.nth, f.at, f.kind, f.set_id, f.node, null, null, f.detail
    from pglobalxact.set_event f
    where (f.xid >= pg_catalog.pg_snapshot_xmax(after) and f.xid < pg_catalog.pg_snapshot_xmax(upto)
           or f.xid = any (array(select x from pg_catalog.pg_snapshot_xip(after) x where pg_catalog.pg_visible_in_snapshot(x, upto))))
      and pg_catalog.pg_visible_in_snapshot(f.xid, upto)
    union all
    select e.xid, 5, e.id, e.at, e.kind, e.set_id, e.node, null, e.who::text, e.detail
    from pglobalxact.event e
    where (e.xid >= pg_catalog.pg_snapshot_xmax(after) and e.xid < pg_catalog.pg_snapshot_xmax(upto)
           or e.xid = any (array(select x from pg_catalog.pg_snapshot_xip(after) x where pg_catalog.pg_visible_in_snapshot(x, upto))))
      and pg_catalog.pg_visible_in_snapshot(e.xid, upto)
$$;
comment on function pglobalxact._events(pg_snapshot, pg_snapshot) is 'Internal. Events of the transactions between two snapshots; xid, stage and nth are their order.';
revoke all on function pglobalxact._events(pg_snapshot, pg_snapshot) from public;
