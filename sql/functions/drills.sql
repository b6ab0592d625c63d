create or replace function pglobalxact.drills()
returns table (id bigint, started_at timestamptz, asked_by name, point text, node name, canary text, set_id text, expected text, result text, took interval, evidence text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select d.id, date_trunc('second', d.started_at), d.asked_by, d.point, d.node, d.canary, d.set_id, d.expected,
           case when d.consistent then 'passed' when not d.consistent then 'failed'
                when exists (select from pglobalxact.request q where q.id = d.request and q.finished_at is null) then 'running' else 'broken off' end,
           d.took,
           (select string_agg(e.place || ' ' || e.says || case when e.canary_rows is not null then format(' (%s row%s)', e.canary_rows, case when e.canary_rows <> 1 then 's' end)
                              else '' end, ', ' order by e.place)
            from jsonb_to_recordset(d.evidence) as e (place text, says text, canary_rows bigint))
    from pglobalxact.drill d order by d.id desc limit 100
$$;
comment on function pglobalxact.drills() is
    'The last 100 drills, the newest first: the fault, the canary set, what had to become of it, whether it did everywhere, how long that took, and what each place said in the end.';
revoke all on function pglobalxact.drills() from public;
grant execute on function pglobalxact.drills() to pglobalxact_monitor;
