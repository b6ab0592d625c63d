-- One row: the sidecar, and what it has in hand. Best read with \x.
create or replace function pglobalxact.status()
returns table (sidecar text, note text, paused text, running_for interval, last_seen interval, last_look interval, host text, pid integer, version text,
               home text, state_directory text, state_sets integer, state_bytes bigint,
               queued integer, unwritten integer, requests integer, gate text, consumers text, deadlocks text, clock text, coordinator text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select case when here.acting then 'acting'
                when s.home is null then 'never started'
                when not s.acting and s.seen_at > clock_timestamp() - interval '15 seconds' then 'waiting'
                else 'not running' end,
           concat_ws('; ',
               case when s.home is null then 'start it next to this server: npx pglobalxact run --state-dir DIR'
                    when s.acting and not here.acting
                    then 'decided sets wait, and are safe: start it with npx pglobalxact run --state-dir DIR' else s.note end,
               (select 'fenced off on ' || string_agg(n.name, ', ' order by n.name) || ' (see nodes())'
                from pglobalxact.node_status f join pglobalxact.node n on n.number = f.node and n.removed_at is null
                where here.acting and f.fence like 'held by %'),
               case when here.acting then pglobalxact._trials() end,
               (select 'not watching ' || string_agg(n.name || ' (' || w.state || ')', ', ' order by n.name) || ' (see watched())'
                from pglobalxact.watch_status w join pglobalxact.node n on n.number = w.node
                where here.acting and w.state <> 'streaming'),
               case when here.acting and s.rival_at > clock_timestamp() - interval '15 seconds' then 'another wants to act: ' || s.rival end),
           case when c.paused_at is not null
                then format('since %s by %s: %s', date_trunc('second', c.paused_at), c.paused_by, c.pause_reason) end,
           date_trunc('second', clock_timestamp() - s.started_at), date_trunc('second', clock_timestamp() - s.seen_at),
           date_trunc('second', clock_timestamp() - s.looked_at), s.host, s.pid, s.version,
           s.home, s.state_directory, s.state_sets, s.state_bytes, s.queued_branches, s.unwritten,
           (select count(*)::integer from pglobalxact.request q where q.finished_at is null),
           -- What is held is told by its sessions: they are there if and only if it is.
           (select concat_ws('; ', format('last closed %s for %s ms (%s)', date_trunc('second', g.closed_at), round((extract(epoch from g.held) * 1000)::numeric, 1), g.purpose),
                   (select 'held: ' || string_agg(substring(a.application_name from 'snapshots [0-9]+'), ', ' order by a.backend_start)
                    from pg_stat_activity a where a.datname = current_database() and a.application_name like 'pglobalxact sidecar (snapshots %'
                      and pg_has_role(a.usesysid, 'pglobalxact', 'member')))
            from pglobalxact.gate g where g.closed_at is not null),
           (select format('%s, the last is %s behind', count(*), coalesce(max(date_trunc('second', clock_timestamp() - e.position_at)) filter (where e.expired_at is null), '0'))
                   || coalesce('; expired: ' || string_agg(e.name, ', ' order by e.name) filter (where e.expired_at is not null), '')
            from pglobalxact.consumer e having count(*) > 0),
           (select case when w.mode = 'off' and w.looks = 0 then 'off'
                        else format('%s: %s found, %s cancelled, by %s looks with %s queries of %s ms', w.mode, w.found, w.cancelled, w.looks, w.queries,
                                    round((w.query_ms / greatest(w.queries, 1))::numeric, 1)) end
            from pglobalxact.deadlock_watch w),
           (select format('kept since %s by %s; servers may be %s apart', date_trunc('second', k.kept_at), k.kept_by, k.tolerance) from pglobalxact.clock k), c.id
    from pglobalxact.coordinator c left join pglobalxact.sidecar s on true
    cross join lateral (select exists (select from pglobalxact._sidecar_pid()) as acting) here
$$;
comment on function pglobalxact.status() is
    'The sidecar: acting, waiting (note says for what), not running, or never started; note also tells on which nodes another sidecar keeps it off, which watched nodes are not streamed, of a second sidecar here, and of a verify() or drill() under way; whether new sets are paused; when it was last heard of and last looked for commit records; '
    'its state directory, the sets and bytes in it; branches queued for nodes that answer, results not yet written back, requests not yet answered; when commits of sets were last held at the gate, for how long, and which exports of snapshots are held; how many consumers of events there are, and how far behind; what is done about deadlocks over several servers, what came of it so far, and what looking for them costs; whether sets get a time; this coordinator''s id.';
revoke all on function pglobalxact.status() from public;
grant execute on function pglobalxact.status() to pglobalxact_monitor;
