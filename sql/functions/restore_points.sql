create or replace function pglobalxact.restore_points()
returns table (name text, at timestamptz, state text, held interval, servers text, asked_by name, manifest jsonb)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select p.name, date_trunc('second', p.begun_at),
           case when p.completed_at is not null then 'complete'
                when p.failed_at is not null then 'given up'
                when p.timeline <> here.timeline then case when p.reconciled = '{}' then 'restored to' else 'restored to, reconciled' end
                else 'under way' end,
           (p.manifest ->> 'held_ms')::double precision * interval '1 ms',
           (select string_agg(s.name, ', ' order by s.place)
            from (select '(coordinator)' as name, 0 as place
                  union all
                  select coalesce(n.name, 'node ' || u.number), 1 + (row_number() over (order by n.name))::integer
                  from unnest(p.nodes) as u (number) left join pglobalxact.node n on n.number = u.number) s),
           p.asked_by, p.manifest
    from pglobalxact.restore_point p
    cross join (select case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_lsn()), 8) end as timeline) here
    order by p.begun_at desc
$$;
comment on function pglobalxact.restore_points() is
    'The restore points that were taken here, the newest first. state: complete; given up (it is none, and its name is used up); under way; restored to: this database is what it was then, and what came since.';
revoke all on function pglobalxact.restore_points() from public;
grant execute on function pglobalxact.restore_points() to pglobalxact_monitor;
