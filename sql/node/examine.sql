-- Everything doctor() and check_node() want to know of a node, in one row. $1: roles known to own branches here; $2: the age from which a
-- prepared transaction is old; $3: LIKE pattern of this coordinator's gids.
with owner as (
    select r.rolname, r.oid, r.rolname = any ($1::text[]) as known,
           pg_has_role(session_user, r.oid, case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end) as mine
    from pg_catalog.pg_roles r where r.rolcanlogin and r.rolname <> session_user
), deadline as (
    select unnest(array['idle_in_transaction_session_timeout', 'transaction_timeout', 'idle_session_timeout']) as name
), override as (
    select d.name, split_part(c, '=', 2) as value, s.setrole, r.rolname, b.datname
    from pg_catalog.pg_db_role_setting s
    cross join unnest(s.setconfig) c
    join deadline d on d.name = split_part(c, '=', 1)
    left join pg_catalog.pg_roles r on r.oid = s.setrole
    left join pg_catalog.pg_database b on b.oid = s.setdatabase
    where (s.setdatabase = 0 or b.datname = current_database())
      and (s.setrole = 0 or r.rolname = session_user or exists (select from owner o where o.oid = s.setrole and (o.known or o.mine)))
)
select session_user::text as login, (select r.rolsuper from pg_catalog.pg_roles r where r.rolname = session_user) as superuser,
       coalesce((select array_agg(o.rolname::text order by o.rolname) from owner o where o.mine), '{}') as members,
       coalesce((select array_agg(o.rolname::text order by o.rolname) from owner o where o.known and not o.mine), '{}') as strangers,
       current_setting('max_prepared_transactions')::int as slots, current_setting('max_connections')::int as connections,
       (select count(*)::int from pg_catalog.pg_prepared_xacts) as slots_used,
       pg_is_in_recovery() as standby, current_setting('server_version_num')::int as version_num, split_part(current_setting('server_version'), ' ', 1) as version,
       (select coalesce(array_agg(s.name order by s.name), '{}') from pg_catalog.pg_settings s where s.name in ('fsync', 'full_page_writes') and s.setting = 'off') as careless,
       (select jsonb_build_object('host', w.sender_host, 'port', w.sender_port::text) from pg_catalog.pg_stat_wal_receiver w where w.sender_host is not null) as upstream,
       coalesce((select array_agg(distinct quote_ident(r.application_name)) from pg_catalog.pg_stat_replication r
                 where coalesce(r.state, 'streaming') = 'streaming' and r.application_name !~ '^pg_(basebackup|receivewal)'
                   and not exists (select from pg_catalog.pg_replication_slots l where l.active_pid = r.pid and l.slot_type = 'logical')), '{}') as standbys,
       current_setting('synchronous_standby_names') as synchronous,
       coalesce((select jsonb_agg(jsonb_build_object('gid', p.gid, 'owner', p.owner, 'database', p.database,
                         'age', date_trunc('second', clock_timestamp() - p.prepared)::text) order by p.prepared)
                 from (select * from pg_catalog.pg_prepared_xacts x
                       where x.gid not like $3 and x.prepared <= clock_timestamp() - $2::interval order by x.prepared limit 10) p), '[]') as foreign_prepared,
       coalesce((select jsonb_agg(jsonb_build_object('setting', t.name, 'value', t.value, 'whom', t.whom, 'cure', t.cure) order by t.name, t.whom)
                 from (select o.name, o.value, concat_ws(' in ', 'role ' || o.rolname, 'database ' || o.datname) as whom,
                              case when o.rolname is null then format('alter database %I set %s = 0;', o.datname, o.name)
                                   when o.datname is null then format('alter role %I set %s = 0;', o.rolname, o.name)
                                   else format('alter role %I in database %I set %s = 0;', o.rolname, o.datname, o.name) end as cure
                       from override o where o.value !~ '^''?0'
                       union all
                       select s.name, s.reset_val || coalesce(s.unit, ''), 'everyone', format('alter database %I set %s = 0;', current_database(), s.name)
                       from deadline d join pg_catalog.pg_settings s on s.name = d.name
                       where s.reset_val <> '0' and not exists (select from override o where o.name = d.name and o.value !~ '^''?0')) t), '[]') as deadlines,
       coalesce((select jsonb_agg(jsonb_build_object('slot', s.slot_name, 'kept', pg_size_pretty(k.kept)) order by k.kept desc)
                 from pg_catalog.pg_replication_slots s
                 cross join lateral pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, s.restart_lsn) as k (kept)
                 where not s.active and current_setting('max_slot_wal_keep_size') = '-1' and k.kept >= 268435456), '[]') as wal_kept,
       current_setting('client_connection_check_interval') as watchful,
       jsonb_build_object('host', coalesce(host(inet_server_addr()), '…'), 'port', current_setting('port')) as server,
       extract(epoch from clock_timestamp())::float8 * 1000 as clock
