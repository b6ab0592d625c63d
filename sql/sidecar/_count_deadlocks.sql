create or replace function pglobalxact._count_deadlocks(looks bigint, queries bigint, query_ms double precision, found bigint, cancelled bigint)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    update pglobalxact.deadlock_watch w
    set looks = w.looks + _count_deadlocks.looks, queries = w.queries + _count_deadlocks.queries, query_ms = w.query_ms + _count_deadlocks.query_ms,
        found = w.found + _count_deadlocks.found, cancelled = w.cancelled + _count_deadlocks.cancelled
$$;
comment on function pglobalxact._count_deadlocks(bigint, bigint, double precision, bigint, bigint) is
    'Internal. Adds to what looking for deadlocks has cost and found.';
revoke all on function pglobalxact._count_deadlocks(bigint, bigint, double precision, bigint, bigint) from public;
