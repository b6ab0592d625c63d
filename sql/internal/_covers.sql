create or replace function pglobalxact._covers(upto pg_snapshot, after pg_snapshot)
returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select pg_snapshot_xmax(after) <= pg_snapshot_xmax(upto)
       and not exists (select from pg_snapshot_xip(upto) x where pg_visible_in_snapshot(x, after))
$$;
comment on function pglobalxact._covers(pg_snapshot, pg_snapshot) is 'Internal. Whether all that is visible in the second snapshot is visible in the first.';
revoke all on function pglobalxact._covers(pg_snapshot, pg_snapshot) from public;
