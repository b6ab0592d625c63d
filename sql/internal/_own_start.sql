-- The start of this server in which a set ran, found by its nonce; null when this database never handed that set id out.
create or replace function pglobalxact._own_start(xid xid8, nonce text)
returns pglobalxact.server_start
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select s.* from pglobalxact.server_start s
    where pglobalxact._nonce((select c.id from pglobalxact.coordinator c), _own_start.xid, s.started_at) = _own_start.nonce
    order by s.started_at desc limit 1
$$;
comment on function pglobalxact._own_start(xid8, text) is 'Internal. Which recorded server start a set id belongs to.';
revoke all on function pglobalxact._own_start(xid8, text) from public;
