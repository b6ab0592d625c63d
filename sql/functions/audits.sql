create or replace function pglobalxact.audits()
returns table (id bigint, started_at timestamptz, asked_by name, state text, since timestamptz, reached timestamptz, took interval, sets bigint, branches bigint,
               disagree bigint, not_proved bigint, first_disagreement text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select a.id, date_trunc('second', a.started_at), a.asked_by,
           case when a.finished_at is not null then 'finished'
                when exists (select from pglobalxact.request q where q.id = a.request and q.finished_at is null) then 'running' else 'broken off' end,
           date_trunc('second', a.since), a.reached, coalesce(a.finished_at, a.noted_at) - a.started_at, a.sets, a.branches,
           coalesce(sum(f.branches) filter (where f.finding = 'disagrees'), 0)::bigint, coalesce(sum(f.branches) filter (where f.finding = 'not proved'), 0)::bigint,
           (array_agg(format('set %s on %s: the record says %s, the node says %s', f.first_set, f.node, f.record_says, f.node_says) order by f.nth)
                filter (where f.finding = 'disagrees'))[1]
    from (select n.* from pglobalxact.audit n order by n.id desc limit 100) a
    left join lateral rows from (jsonb_to_recordset(a.findings) as (finding text, node text, record_says text, node_says text, branches bigint, first_set text))
        with ordinality as f (finding, node, record_says, node_says, branches, first_set, nth) on true
    group by a.id, a.request, a.asked_by, a.started_at, a.since, a.reached, a.finished_at, a.noted_at, a.sets, a.branches
    order by a.id desc
$$;
comment on function pglobalxact.audits() is
    'The last 100 runs of verify(), the newest first: how far each got, what it compared, and its first disagreement. A run that was broken off goes on with verify(since => reached).';
revoke all on function pglobalxact.audits() from public;
grant execute on function pglobalxact.audits() to pglobalxact_monitor;
