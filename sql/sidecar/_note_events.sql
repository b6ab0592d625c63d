create or replace function pglobalxact._note_events(events jsonb)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into pglobalxact.event (kind, set_id, node, detail, at)
    select e.kind, e.set, n.number, e.detail, e.at
    from jsonb_to_recordset(events) as e (kind text, set text, node integer, detail text, at timestamptz)
    left join pglobalxact.node n on n.number = e.node
    order by e.at;
    select pglobalxact._hint()
$$;
comment on function pglobalxact._note_events(jsonb) is 'Internal. Writes lines of history, each with the time at which it happened.';
revoke all on function pglobalxact._note_events(jsonb) from public;
