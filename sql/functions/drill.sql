-- The sidecar runs the canary set (sidecar/drill.ts), in sessions of its own: the caller's may be in the middle of anything.
create or replace function pglobalxact.drill(point text, node text, canary text default null, timeout interval default '1 minute')
returns table (place text, expected text, says text, canary_rows bigint, took interval)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    answer jsonb;
begin
    if (timeout between interval '0' and interval '1 hour') is not true then
        raise exception 'a timeout of at most an hour is needed' using errcode = 'invalid_parameter_value',
            hint = format('For example: select * from pglobalxact.drill(%L, %L, timeout => ''10 s'');', point, node);
    end if;
    answer := pglobalxact._request('drill', jsonb_build_object('point', point, 'node', node, 'canary', canary, 'timeout', extract(epoch from timeout) * 1000));
    if not (answer ->> 'consistent')::boolean then
        raise warning 'drill % failed: not every place says what it has to', answer ->> 'id' using hint = 'See: select * from pglobalxact.drills();';
    end if;
    return query
    select r.place, answer ->> 'expected', r.says, r.canary_rows, make_interval(secs => r.ms / 1000.0)
    from jsonb_to_recordset(answer -> 'evidence') as r (place text, says text, canary_rows bigint, ms double precision);
end
$$;
comment on function pglobalxact.drill(text, text, text, interval) is
    'Runs a canary set over all nodes that answer into a fault at a node, and measures how long it takes until every place says what it has to; no other set is touched. canary: a table on every node, the sidecar''s login''s own, for a row. '
    'It fails when that takes longer than timeout. The result is kept: drills(). Errors: 22023 unknown point (the hint has all), canary table or timeout unfit; 42704 unknown node; 55000 node away, paused, a drill under way, or no sidecar.';
revoke all on function pglobalxact.drill(text, text, text, interval) from public;
grant execute on function pglobalxact.drill(text, text, text, interval) to pglobalxact_admin;
