-- The present, or for a consumer that is behind a tick: the last one that leaves the batch small enough, or else the first there is.
-- A batch could be kept small by any border between xids, too; but only a snapshot that was real has all that was
-- visible before each thing that is visible in it. So batches never come in another order than sets that have to do with one another.
create or replace function pglobalxact._batch_end(place pg_snapshot, place_number bigint, most integer)
returns table (snapshot pg_snapshot, at timestamptz, number bigint, last boolean)
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select t.snapshot, t.at, t.number, t.last
    from (select pglobalxact._present(place) as snapshot, clock_timestamp() as at, (select s.last_value from pglobalxact.set_number s) as number, true as last
          union all
          select k.snapshot, k.at, k.number, false from pglobalxact.tick k where k.number > place_number and pglobalxact._covers(k.snapshot, place)) t
    cross join lateral (select t.number - place_number > most as large) size
    order by size.large, case when size.large then t.number else -t.number end, t.last desc limit 1
$$;
comment on function pglobalxact._batch_end(pg_snapshot, bigint, integer) is 'Internal. Where the next batch of a consumer ends, and whether that is the present.';
revoke all on function pglobalxact._batch_end(pg_snapshot, bigint, integer) from public;
