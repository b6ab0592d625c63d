create or replace function pglobalxact._take_requests()
returns setof pglobalxact.request
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    update pglobalxact.request q set taken_at = clock_timestamp()
    where q.id in (select o.id from pglobalxact.request o where o.finished_at is null and o.taken_at is null)
    returning q.*
$$;
comment on function pglobalxact._take_requests() is 'Internal. Requests not yet taken.';
revoke all on function pglobalxact._take_requests() from public;
