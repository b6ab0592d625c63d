create or replace function pglobalxact.nodes()
returns table (node name, reachable boolean, since interval, latency_ms numeric, version text, prepared_max integer, prepared_used integer,
               finishing_as name, waiting integer, fence text, last_error text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select n.name, s.reachable, date_trunc('second', clock_timestamp() - s.since), round(s.latency_ms::numeric, 1), s.version,
           s.prepared_max, s.prepared_used, s.finishing_as,
           (select count(*)::integer from pglobalxact.open_branch b
            where b.node = n.number and b.state not in ('open', 'running', 'committed', 'rolled back', 'unknown')),
           s.fence, s.message
    from pglobalxact.node n left join pglobalxact.node_status s on s.node = n.number
    where n.removed_at is null
    order by s.reachable nulls first, n.name
$$;
comment on function pglobalxact.nodes() is
    'The nodes as the sidecar last saw them, unreachable ones first: since when, latency in ms, prepared slots (max, used by anyone), the role that finishes branches there, '
    'branches waiting for it, and who holds the fence.';
revoke all on function pglobalxact.nodes() from public;
grant execute on function pglobalxact.nodes() to pglobalxact_monitor;
