-- The watched nodes as the sidecar last saw them.
create or replace function pglobalxact.watched()
returns table (node name, state text, lag text, wal_kept text, max_wal text, held integer, remade integer, publication name, all_gids boolean, slot name,
               seen interval, message text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select n.name, case when not here.acting then 'no sidecar acts' else coalesce(s.state, 'starting') end,
           pg_size_pretty(s.lag), pg_size_pretty(s.wal_kept), pg_size_pretty(w.max_wal), s.held, coalesce(s.remade, 0), w.publication, w.all_gids, s.slot,
           date_trunc('second', clock_timestamp() - s.checked_at),
           case when not here.acting then format('the slot on the node keeps WAL until a sidecar comes back; if none will, there: select pg_drop_replication_slot(%L);', s.slot)
                else s.message end
    from pglobalxact.watch w
    join pglobalxact.node n on n.number = w.node
    left join pglobalxact.watch_status s on s.node = w.node
    cross join lateral (select exists (select from pglobalxact._sidecar_pid()) as acting) here
    order by (s.state is not distinct from 'streaming'), n.name
$$;
comment on function pglobalxact.watched() is
    'Watched nodes, those with trouble first: streaming, starting (the slot is made when older transactions are over), blocked (decoding waits for a lock of a prepared transaction), off (something is missing), or not connected; '
    'how far the confirmed position is behind, the WAL that the node keeps for the slot and its bound, branches in memory, how often the slot was made anew, and why it does not stream.';
revoke all on function pglobalxact.watched() from public;
grant execute on function pglobalxact.watched() to pglobalxact_monitor;
