-- The coordinator's server: what could lose a decision, and what is in the way of sets. Every check gives at least one row, found or
-- not, so that they can be counted.
create or replace function pglobalxact._doctor_server(patience interval)
returns table (key text, found boolean, severity text, place text, finding text, why text, fix text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select 'coordinator.version', v.number not between 140000 and 189999, 'warning', 'coordinator',
           format('the server is PostgreSQL %s', current_setting('server_version')),
           'pglobalxact is made and tested for 14 to 18', 'npm install pglobalxact@latest'
    from (select current_setting('server_version_num')::integer as number) v
    union all
    select 'coordinator.in_recovery', pg_is_in_recovery(), 'error', 'coordinator', 'the server is a standby',
           'sets are run, and decided, on the primary only',
           coalesce((select format('psql -h %s -p %s -d %s', r.sender_host, r.sender_port, current_database())
                     from pg_stat_wal_receiver r where r.sender_host is not null),
                    'select pg_promote(); /* only if its primary is gone for good */')
    union all
    select 'coordinator.' || s.name, s.setting = 'off', 'error', 'coordinator', format('%s = off', s.name),
           'a crash of the host could lose a commit record whose branches are committed', format('alter system set %I = on; select pg_reload_conf();', s.name)
    from pg_settings s where s.name in ('fsync', 'full_page_writes')
    union all
    select 'coordinator.synchronous_commit', o.fix is not null, 'advice', 'coordinator', format('synchronous_commit = off for %s', o.whom),
           'a transaction with a set is raised to "on": it will not be as fast as others', o.fix
    from (select) one left join (
        select 'the server' as whom, 'alter system set synchronous_commit = on; select pg_reload_conf();' as fix
        from pg_settings s where s.name = 'synchronous_commit' and s.reset_val = 'off'
          and not exists (select from pg_db_role_setting d, unnest(d.setconfig) c where c ~ '^synchronous_commit='
                          and d.setdatabase in (0, (select b.oid from pg_database b where b.datname = current_database()))
                          and d.setrole in (0, to_regrole(quote_ident(session_user))))
        union all
        select concat_ws(' in ', 'role ' || r.rolname, 'database ' || b.datname),
               case when r.oid is null then format('alter database %I reset synchronous_commit;', b.datname)
                    when b.oid is null then format('alter role %I reset synchronous_commit;', r.rolname)
                    else format('alter role %I in database %I reset synchronous_commit;', r.rolname, b.datname) end
        from pg_db_role_setting d left join pg_roles r on r.oid = d.setrole left join pg_database b on b.oid = d.setdatabase
        where 'synchronous_commit=off' = any (d.setconfig) and coalesce(b.datname, current_database()) = current_database()
    ) o on true
    union all
    select 'coordinator.asynchronous_standby', s.names is not null and current_setting('synchronous_standby_names') = '', 'warning', 'coordinator',
           format('standby %s is replicated asynchronously', s.names), 'a failover to it can lose decisions that nodes have carried out',
           format('alter system set synchronous_standby_names = %L; select pg_reload_conf();', 'ANY 1 (' || s.names || ')')
    from (select string_agg(distinct quote_ident(r.application_name), ', ') as names from pg_stat_replication r
          where coalesce(r.state, 'streaming') = 'streaming' and r.application_name !~ '^pg_(basebackup|receivewal)'
            and not exists (select from pg_replication_slots l where l.active_pid = r.pid and l.slot_type = 'logical')) s
    union all
    select 'coordinator.foreign_prepared', p.gid is not null, 'warning', 'coordinator',
           format('transaction "%s" of another manager, role %s in database %s, is prepared for %s', p.gid, quote_ident(p.owner), quote_ident(p.database), date_trunc('second', clock_timestamp() - p.prepared)),
           'it keeps its locks and holds vacuum back; end it if its manager has forgotten it', format('rollback prepared %L; /* in database %s */', p.gid, quote_ident(p.database))
    from (select) one left join (
        select x.* from pg_prepared_xacts x
        where x.gid not like 'pgx\_' || (select c.id from pglobalxact.coordinator c) || '\_%' and x.prepared <= clock_timestamp() - patience
        order by x.prepared limit 10) p on true
    union all
    select 'coordinator.wal_kept', l.slot_name is not null, 'warning', 'coordinator', format('replication slot %s is unused and keeps %s of WAL', quote_ident(l.slot_name), pg_size_pretty(l.kept)),
           'nothing bounds it (max_slot_wal_keep_size = -1): when the disk is full, nothing commits', format('select pg_drop_replication_slot(%L); /* unless its standby or subscriber comes back */', l.slot_name)
    from (select) one left join (
        select s.slot_name, k.kept from pg_replication_slots s
        cross join lateral pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, s.restart_lsn) as k (kept)
        where not s.active and current_setting('max_slot_wal_keep_size') = '-1' and k.kept >= 268435456 order by k.kept desc limit 10) l on true
$$;
comment on function pglobalxact._doctor_server(interval) is 'Internal. What doctor() checks about the coordinator''s server.';
revoke all on function pglobalxact._doctor_server(interval) from public;
