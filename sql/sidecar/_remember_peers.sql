-- A peer's sidecar may be away just when somebody wants to know where to ask. Names are free to take, so a flood of them is not kept.
create or replace function pglobalxact._remember_peers()
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into pglobalxact.peer as p (coordinator, told, client_addr, seen_at)
    select c.coordinator, c.told, c.client_addr, clock_timestamp()
    from pglobalxact._connected_peers() c
    where (select count(*) from pglobalxact.peer) < 1000 or exists (select from pglobalxact.peer k where k.coordinator = c.coordinator)
    on conflict (coordinator) do update set told = excluded.told, client_addr = excluded.client_addr, seen_at = excluded.seen_at
    where p.told <> excluded.told or p.client_addr is distinct from excluded.client_addr or p.seen_at < excluded.seen_at - interval '1 minute'
$$;
comment on function pglobalxact._remember_peers() is 'Internal. Writes down where the other coordinators are whose sidecars are connected here.';
revoke all on function pglobalxact._remember_peers() from public;
