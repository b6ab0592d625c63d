-- How this database stands to a restore point. restored: it is what it was at that moment, and what came since. went on: it has gone on
-- from there, and was not restored to it. Null when there is no such row: restored to before it, or another database.
create or replace function pglobalxact._point(id text)
returns table (standing text, reconciled jsonb)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when p.completed_at is not null then 'went on'
                when p.failed_at is not null then 'failed'
                when p.timeline <> left(pg_walfile_name(pg_current_wal_lsn()), 8) then 'restored'
                else 'failed' end, p.reconciled
    from pglobalxact.restore_point p where p.id = _point.id
$$;
comment on function pglobalxact._point(text) is 'Internal. Whether this database was restored to a restore point, went on from it, or never had it whole.';
revoke all on function pglobalxact._point(text) from public;
