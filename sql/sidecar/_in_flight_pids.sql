-- Local sessions that have a branch open, per node. Only holders that may use pglobalxact count.
create or replace function pglobalxact._in_flight_pids(node integer)
returns integer[]
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(array_agg(f.pid), '{}') from pglobalxact.in_flight f where f.node = _in_flight_pids.node
$$;
comment on function pglobalxact._in_flight_pids(integer) is 'Internal. Sessions with an open branch on a node.';
revoke all on function pglobalxact._in_flight_pids(integer) from public;
