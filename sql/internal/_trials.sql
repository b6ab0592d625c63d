create or replace function pglobalxact._trials()
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select string_agg(t.says, '; ')
    from pglobalxact.request q
    cross join lateral (
        select format('verify() has compared %s sets', a.sets) from pglobalxact.audit a where a.request = q.id
        union all
        select format('drill() at %s: %s', d.node, d.point) from pglobalxact.drill d where d.request = q.id) as t (says)
    where q.finished_at is null
$$;
comment on function pglobalxact._trials() is 'Internal. For status(): what is being verified or drilled now.';
revoke all on function pglobalxact._trials() from public;
