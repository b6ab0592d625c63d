-- The nodes as the sidecar last saw them.
create or replace function pglobalxact.nodes()
returns table (node name, reachable boolean, since interval, latency_ms numeric, version text, prepared_used integer, prepared_free integer,
               oldest_prepared interval, finishing_as name, can_finish text, waiting integer, standbys text, fence text, last_error text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select n.name, s.reachable, date_trunc('second', clock_timestamp() - s.since), round(s.latency_ms::numeric, 1), s.version,
           case when s.reachable then s.prepared_used end, case when s.reachable then s.prepared_max - s.prepared_used end,
           date_trunc('second', clock_timestamp() - s.oldest_prepared_at),
           s.finishing_as, s.can_finish,
           coalesce(w.waiting, 0),
           s.standbys, s.fence,
           case when n.lost_at is not null then format('declared lost by %s: %s', n.lost_by, n.lost_reason)
                     || case when s.reachable then format('; it is back: select * from pglobalxact.add_node(%L);', n.name) else '' end
                when not here.acting and s.node is not null then concat_ws('; ', format('no sidecar acts: as seen %s ago', date_trunc('second', clock_timestamp() - s.checked_at)), s.message)
                else s.message end
    from pglobalxact.node n left join pglobalxact.node_status s on s.node = n.number
    left join (
        select b.node, count(*)::integer as waiting from pglobalxact.open_branch b
        where b.state not in ('open', 'running', 'committed', 'rolled back', 'unknown', 'lost', 'forced commit', 'forced rollback')
        group by b.node) w on w.node = n.number
    cross join lateral (select exists (select from pglobalxact._sidecar_pid()) as acting) here
    where n.removed_at is null
    order by n.lost_at is null, s.reachable nulls first, n.name
$$;
comment on function pglobalxact.nodes() is
    'The nodes as the sidecar last saw them, lost and unreachable ones first: since when, latency in ms, prepared slots used (by anyone) and free, age of the oldest prepared '
    'transaction (of anyone; null, like the slots, while the node is unreachable), the role that finishes branches there and the owners whose branches it may finish, sets waiting for the node, its standbys, and who holds the fence. While no sidecar acts, last_error says how old all this is.';
revoke all on function pglobalxact.nodes() from public;
grant execute on function pglobalxact.nodes() to pglobalxact_monitor;
