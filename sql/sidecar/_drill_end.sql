-- How a drill ended: evidence, and a line of history.
create or replace function pglobalxact._drill_end(id bigint, consistent boolean, took interval, evidence jsonb)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    with ended as (
        update pglobalxact.drill d set finished_at = clock_timestamp(), consistent = _drill_end.consistent, took = _drill_end.took, evidence = _drill_end.evidence
        where d.id = _drill_end.id
        returning d.*
    )
    insert into pglobalxact.event (kind, set_id, node, who, detail)
    select case when e.consistent then 'drill' else 'drill failed' end, e.set_id, n.number, e.asked_by, format('%s: %s',
        e.point, case when e.consistent then format('%s everywhere after %s s', e.expected, round(extract(epoch from e.took)::numeric, 3))
                      else format('not %s everywhere: see pglobalxact.drills()', e.expected) end)
    from ended e left join pglobalxact.node n on n.name = e.node
$$;
comment on function pglobalxact._drill_end(bigint, boolean, interval, jsonb) is 'Internal. Writes down how a drill ended.';
revoke all on function pglobalxact._drill_end(bigint, boolean, interval, jsonb) from public;
