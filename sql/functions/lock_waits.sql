-- Who waits for whom, everywhere: the sidecar asks all nodes and this server, now.
create or replace function pglobalxact.lock_waits()
returns table (place text, waiter text, waits_for text, lock text, waited interval, waiter_is text, blocker_is text)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    select w.place, w.waiter, w.waits_for, coalesce(w.lock, 'does not answer: ' || w.error),
           date_trunc('milliseconds', w.waited * interval '1 ms'), w.waiter_is, w.blocker_is
    from jsonb_to_recordset(pglobalxact._request('lock_waits', '{}'))
        as w (place text, waiter text, waits_for text, lock text, waited double precision, waiter_is text, blocker_is text, error text)
    order by w.error is null, w.waited desc, w.place, w.waiter, w.waits_for
$$;
comment on function pglobalxact.lock_waits() is
    'Who waits for whose lock, on this server and all nodes, the longest first: sets by their id, wherever they wait; other sessions as "<place> pid <n>"; transactions prepared by '
    'others by their gid. The lock and its mode, and who both are. A node that does not answer has one row that says so. Error 55000 when no sidecar runs.';
revoke all on function pglobalxact.lock_waits() from public;
grant execute on function pglobalxact.lock_waits() to pglobalxact_monitor;
