-- What the sidecar asks a node at each look, in one round trip. $1: LIKE pattern of this coordinator's gids, and of its session names.
-- pg_prepared_xacts shows 32 bits of an xid: the snapshot's xmax, near it on either side, supplies the rest (as in
-- sql/internal/_widen_xid.sql); "offset 0" has it read once, not for every branch: with thousands prepared each snapshot is long.
select coalesce((select jsonb_agg(jsonb_build_object('gid', p.gid, 'xid', p.transaction::text, 'owner', p.owner, 'prepared_at', p.prepared,
                    'xid8', (near.whole + (p.transaction::text::numeric - near.whole % 4294967296 + 6442450944) % 4294967296 - 2147483648)::text))
                 from pg_catalog.pg_prepared_xacts p where p.database = current_database() and p.gid like $1), '[]') as prepared,
       (select count(*)::int from pg_catalog.pg_prepared_xacts) as slots_used,
       (select min(p.prepared)::text from pg_catalog.pg_prepared_xacts p) as oldest_prepared_at,
       current_setting('max_prepared_transactions')::int as slots,
       (select case when count(*) = 0 then 'none'
                    when current_setting('synchronous_standby_names') = '' then count(*) || ' asynchronous'
                    else count(*) || ', synchronous: ' || current_setting('synchronous_standby_names') end
        from pg_catalog.pg_stat_replication r where r.application_name is distinct from 'pg_basebackup') as standbys,
       split_part(current_setting('server_version'), ' ', 1) as version,
       pg_is_in_recovery() as standby,
       case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_lsn()), 8) end as timeline,
       coalesce((select jsonb_agg(jsonb_build_object('pid', a.pid, 'name', a.application_name, 'xact_start', a.xact_start::text))
                 from pg_catalog.pg_stat_activity a
                 where a.datname = current_database() and a.application_name like $1 and a.xact_start is not null
                   and a.pid <> pg_backend_pid() and a.application_name ~ '^pgx_[0-9a-f]{8}_[0-9]+_[0-9a-f]{8}$'), '[]') as sessions
from (select pg_snapshot_xmax(pg_current_snapshot())::text::numeric as whole offset 0) near
