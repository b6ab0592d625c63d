-- What the sidecar asks a node at each look, in one round trip. $1: LIKE pattern of this coordinator's gids, and of its session names;
-- $2: whether to tell whose branches the sidecar may finish, too.
-- With thousands prepared every microsecond per branch counts: pg_prepared_xacts is read once, and branches are plain arrays. It shows 32
-- bits of an xid: the caller widens them by xmax, the snapshot's.
with prepared as materialized (
    select p.gid, p.transaction, p.owner, p.prepared, p.database = current_database() and p.gid like $1 as own from pg_catalog.pg_prepared_xacts p
)
select coalesce((select json_agg(json_build_array(p.gid, p.transaction::text, p.owner, p.prepared)) from prepared p where p.own), '[]') as prepared,
       pg_snapshot_xmax(pg_current_snapshot())::text as xmax,
       extract(epoch from clock_timestamp())::float8 * 1000 as clock,
       (select count(*)::int from prepared) as slots_used,
       (select min(p.prepared)::text from prepared p) as oldest_prepared_at,
       current_setting('max_prepared_transactions')::int as slots,
       (select case when count(*) = 0 then 'none'
                    when current_setting('synchronous_standby_names') = '' then count(*) || ' asynchronous'
                    else count(*) || ', synchronous: ' || current_setting('synchronous_standby_names') end
        from pg_catalog.pg_stat_replication r where r.application_name is distinct from 'pg_basebackup'
          and not exists (select from pg_catalog.pg_replication_slots l where l.active_pid = r.pid and l.slot_type = 'logical')) as standbys,
       split_part(current_setting('server_version'), ' ', 1) as version,
       pg_is_in_recovery() as standby,
       case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_lsn()), 8) end as timeline,
       coalesce((select jsonb_agg(jsonb_build_object('pid', a.pid, 'name', a.application_name, 'xact_start', a.xact_start::text))
                 from pg_catalog.pg_stat_activity a
                 where a.datname = current_database() and a.application_name like $1 and a.xact_start is not null
                   and a.pid <> pg_backend_pid() and a.application_name ~ '^pgx_[0-9a-f]{8}_[0-9]+_[0-9a-f]{8}$'), '[]') as sessions,
       case when $2 then (select to_jsonb(m) from (
@node:members@
       ) m) end as members
