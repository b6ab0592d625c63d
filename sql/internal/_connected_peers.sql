create or replace function pglobalxact._connected_peers()
returns table (coordinator text, told text, client_addr inet)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select distinct on (p.coordinator) p.coordinator, p.told, a.client_addr
    from pg_stat_activity a cross join lateral pglobalxact._peer_of(a.application_name) p
    where a.datname = current_database() and a.application_name like 'pgx\_%' and p.coordinator <> (select c.id from pglobalxact.coordinator c)
    order by p.coordinator, a.backend_start desc
$$;
comment on function pglobalxact._connected_peers() is 'Internal. Other coordinators whose sidecars are connected to this database now.';
revoke all on function pglobalxact._connected_peers() from public;
