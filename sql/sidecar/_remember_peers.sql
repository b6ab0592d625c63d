-- A peer's sidecar may be away just when somebody wants to know where to ask. Names are free to take, so a flood of them is not kept.
create or replace function pglobalxact._remember_peers()
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into pglobalxact.peer as p (coordinator, told, client_addr, seen_at)
    select c.coordinator, c.told, c.client_addr, clock_timestamp()
    from pglobalxact._connected_peers() c
    left join pglobalxact.peer k on k.coordinator = c.coordinator
    -- What is written down already costs no transaction.
    where case when k.coordinator is null then (select count(*) from pglobalxact.peer) < 1000
               else k.told <> c.told or k.client_addr is distinct from c.client_addr or k.seen_at < clock_timestamp() - interval '1 minute' end
    on conflict (coordinator) do update set told = excluded.told, client_addr = excluded.client_addr, seen_at = excluded.seen_at
$$;
comment on function pglobalxact._remember_peers() is 'Internal. Writes down where the other coordinators are whose sidecars are connected here.';
revoke all on function pglobalxact._remember_peers() from public;
