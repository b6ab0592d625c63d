-- The present as a snapshot, and what was seen before with it. The transaction that asks is in progress in it: in
-- pg_current_snapshot() it is not, so that events it has yet to write would lie behind a place that it keeps now, and be lost.
-- "seen" may be more than was visible at any one time (a new consumer's place is a border between xids).
create or replace function pglobalxact._present(seen pg_snapshot default '1:1:')
returns pg_snapshot
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select format('%s:%s:%s', coalesce(open.first, last.xmax), last.xmax, open.list)::pg_snapshot
    from (select pg_current_snapshot() as snapshot, pg_current_xact_id_if_assigned() as own) now
    cross join lateral (select greatest(pg_snapshot_xmax(now.snapshot), pg_snapshot_xmax(seen)) as xmax) last
    cross join lateral (
        select string_agg(p.x::text, ',' order by p.x) as list, (array_agg(p.x order by p.x))[1] as first
        from (select pg_snapshot_xip(now.snapshot) as x union select pg_snapshot_xip(seen) union select now.own where now.own < pg_snapshot_xmax(now.snapshot)) p
        where (not pg_visible_in_snapshot(p.x, now.snapshot) or p.x = now.own) and not pg_visible_in_snapshot(p.x, seen)) open
$$;
comment on function pglobalxact._present(pg_snapshot) is
    'Internal. What is visible now, or was seen; the asking transaction is in progress in it.';
revoke all on function pglobalxact._present(pg_snapshot) from public;
