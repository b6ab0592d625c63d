-- What a restart of the sidecar must not make anyone forget, and so is counted here and not in the process.
create or replace function pglobalxact._figures()
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'mixed', r.mixed, 'unknown', r.unknown, 'paused', c.paused_at is not null,
        'lost_nodes', (select count(*) from pglobalxact.node n where n.lost_at is not null and n.removed_at is null),
        'consumers', (select jsonb_build_object('reading', count(*) filter (where e.expired_at is null), 'expired', count(e.expired_at),
                                                'lag', coalesce(extract(epoch from clock_timestamp() - min(e.position_at) filter (where e.expired_at is null)), 0))
                      from pglobalxact.consumer e),
        'now', extract(epoch from clock_timestamp()) * 1000,
        'tolerance', (select extract(epoch from k.tolerance) from pglobalxact.clock k),
        'events', coalesce((select jsonb_object_agg(e.kind, e.times)
                            from (select e.kind, count(*) as times from pglobalxact.event e group by e.kind) e), '{}'))
    from pglobalxact.coordinator c
    cross join (select count(*) filter (where r.outcome = 'mixed') as mixed, count(*) filter (where r.outcome = 'unknown') as unknown
                from pglobalxact.commit_record r where r.outcome <> 'committed' and r.acknowledged_at is null) r
$$;
comment on function pglobalxact._figures() is
    'Internal. For the metrics: sets that are mixed or unknown and not acknowledged, nodes given up as lost, whether new sets are paused, consumers of events, events in history by kind, the time in ms since 1970, and how many seconds clocks may be apart.';
revoke all on function pglobalxact._figures() from public;
