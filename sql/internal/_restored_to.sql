-- Which restore point this database was restored to since, if any: the table says why. The last one, where it was more than once.
create or replace function pglobalxact._restored_to()
returns pglobalxact.restore_point
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select p.* from pglobalxact.restore_point p
    where p.completed_at is null and p.failed_at is null and p.timeline <> left(pg_walfile_name(pg_current_wal_lsn()), 8)
    order by p.begun_at desc limit 1
$$;
comment on function pglobalxact._restored_to() is 'Internal. The restore point that this database was restored to; null if none. Not to be asked in recovery.';
revoke all on function pglobalxact._restored_to() from public;
