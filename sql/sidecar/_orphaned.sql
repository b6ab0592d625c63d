-- Which sessions seen on a node, in a transaction there, belong to a local transaction that is over: made by a session of this
-- database (the tag names a recorded start of this server: a copy of it has others), which is not in flight on the node now.
-- The caller read the node first: a set in flight by then has its lock already.
create or replace function pglobalxact._orphaned(node integer, names text[])
returns setof text
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select n.name
    from unnest(names) as n (name)
    cross join pglobalxact.coordinator c
    cross join lateral regexp_match(n.name, '^pgx_([0-9a-f]{8})_([0-9]{1,9})_([0-9a-f]{8})$') as m
    join pglobalxact.server_start s on pglobalxact._nonce(c.id, '0', s.started_at) = m[3]
    where m[1] = c.id
      and not (s.started_at = pg_postmaster_start_time()
               and exists (select from pglobalxact.in_flight f where f.node = _orphaned.node and f.pid = m[2]::integer))
$$;
comment on function pglobalxact._orphaned(integer, text[]) is 'Internal. Sessions on a node, by application_name, whose local transaction is over.';
revoke all on function pglobalxact._orphaned(integer, text[]) from public;
