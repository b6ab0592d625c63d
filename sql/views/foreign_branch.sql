-- This database as a node of others: their branches that are prepared here, and where they are decided.
create or replace view pglobalxact.foreign_branch as
with peers as (
    select k.coordinator, k.told, k.client_addr
    from pglobalxact._connected_peers() k
    union all
    select p.coordinator, p.told, p.client_addr
    from pglobalxact.peer p
    where not exists (select from pglobalxact._connected_peers() k where k.coordinator = p.coordinator)
)
select g.xid || '_' || g.nonce as set_id, x.gid, g.coordinator, x.owner, x.prepared as prepared_at,
       pglobalxact._where_to_ask(k.told, host(k.client_addr)) as where_to_ask
from pg_catalog.pg_prepared_xacts x
cross join pglobalxact.coordinator c
cross join lateral pglobalxact._parse_gid(x.gid) g
left join peers k on k.coordinator = g.coordinator
where x.gid like 'pgx\_%' and x.database = current_database() and g.coordinator <> c.id;
comment on view pglobalxact.foreign_branch is
    'Internal. Branches of other coordinators that are prepared in this database: they are decided there, and where_to_ask says where that is.';
