-- Writes down the present start of this server. Must be committed before the first PREPARE of a set of this start:
-- the sidecar calls it when it connects, a session through the loopback when the sidecar has not been here yet.
create or replace function pglobalxact._record_server_start()
returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
set synchronous_commit = on
as $$
    insert into pglobalxact.server_start (started_at, timeline, first_xid)
    values (pg_postmaster_start_time(), left(pg_walfile_name(pg_current_wal_lsn()), 8), pg_snapshot_xmax(pg_current_snapshot()))
    on conflict do nothing
$$;
comment on function pglobalxact._record_server_start() is 'Internal. Records this server start, so that a later look knows its set ids for this database''s own.';
revoke all on function pglobalxact._record_server_start() from public;
grant execute on function pglobalxact._record_server_start() to @loopback_role@;
