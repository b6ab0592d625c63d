-- lock_waits() as a picture, those in a deadlock in red.
create or replace function pglobalxact.deadlock_dot()
returns text
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    with answer as materialized (
        select pglobalxact._request('deadlocks', '{}') as told
    ), stuck as (
        select s.waiter, s.waits_for, s.place
        from answer a cross join lateral jsonb_array_elements(a.told -> 'cycles') c
        cross join lateral jsonb_to_recordset(c -> 'waits') as s (waiter text, waits_for text, place text)
    ), edge as (
        select to_json(w.waiter)::text as tail, to_json(w.waits_for)::text as head,
               to_json(w.place || E'\n' || string_agg(distinct w.lock, E'\n'))::text as label,
               exists (select from stuck s where s.waiter = w.waiter and s.waits_for = w.waits_for and s.place = w.place) as red
        from answer a cross join lateral jsonb_to_recordset(a.told -> 'waits') as w (place text, waiter text, waits_for text, lock text, error text)
        where w.error is null
        group by w.place, w.waiter, w.waits_for
    )
    select E'digraph lock_waits {\n    rankdir=LR\n    node [shape=box, fontname="monospace"]\n    edge [fontname="monospace", fontsize=10]\n'
           || coalesce(string_agg(format('    %s -> %s [label=%s%s]%s', e.tail, e.head, e.label, case when e.red then ', color=red, fontcolor=red' else '' end, E'\n'), ''
                                  order by e.red desc, e.tail, e.head, e.label), '') || '}'
    from edge e
$$;
comment on function pglobalxact.deadlock_dot() is
    'What lock_waits() shows, as a graph for Graphviz, deadlocks over several servers in red: \t \a, then select pglobalxact.deadlock_dot() \g | dot -Tsvg > waits.svg. Error 55000 when no sidecar runs.';
revoke all on function pglobalxact.deadlock_dot() from public;
grant execute on function pglobalxact.deadlock_dot() to pglobalxact_monitor;
