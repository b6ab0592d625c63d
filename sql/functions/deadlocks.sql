-- Cycles among those who wait: looked for twice, one look behind the other, so that no wait which just ended makes one.
create or replace function pglobalxact.deadlocks()
returns table (cycle integer, waiter text, waits_for text, place text, lock text, waited interval, victim boolean)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    select c.number::integer, s.waiter, s.waits_for, s.place, s.lock, date_trunc('milliseconds', s.waited * interval '1 ms'), s.waiter = c.cycle ->> 'victim'
    from jsonb_array_elements(pglobalxact._request('deadlocks', '{}') -> 'cycles') with ordinality as c (cycle, number)
    cross join lateral rows from (jsonb_to_recordset(c.cycle -> 'waits') as (waiter text, waits_for text, place text, lock text, waited double precision))
        with ordinality as s (waiter, waits_for, place, lock, waited, step)
    order by c.number, s.step
$$;
comment on function pglobalxact.deadlocks() is
    'Deadlocks over several servers that stand now, a row for each wait of a cycle, the victim''s first; victim: the youngest set of this coordinator in it, which detect_deadlocks(''resolve'') cancels. '
    'A cycle within one server is PostgreSQL''s own to end, and not here. Error 55000 when no sidecar runs.';
revoke all on function pglobalxact.deadlocks() from public;
grant execute on function pglobalxact.deadlocks() to pglobalxact_monitor;
