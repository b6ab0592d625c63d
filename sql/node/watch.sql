-- What must be so on a node for it to be watched, and how its slot stands. $1: the slot; $2: the publication.
-- A session that waits for a lock which a prepared transaction holds may wait for long: who holds it is told. That is the stream's session
-- when such a transaction has locked a catalog table, and a session that makes the slot while older transactions are open.
with slot as (
    select s.slot_name, s.plugin, s.database, s.active_pid, s.wal_status,
           pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) as kept, pg_wal_lsn_diff(pg_current_wal_lsn(), s.confirmed_flush_lsn) as lag
    from pg_catalog.pg_replication_slots s where s.slot_name = $1 and not pg_is_in_recovery()
), blocker as (
    select distinct coalesce('prepared transaction ' || quote_literal(p.gid), 'pid ' || h.pid) as who
    from slot s
    join pg_catalog.pg_locks w on w.pid = s.active_pid and not w.granted
    join pg_catalog.pg_locks h on h.granted and h.mode in ('AccessExclusiveLock', 'ExclusiveLock')
         and (h.locktype, h.database, h.relation, h.transactionid, h.virtualxid) is not distinct from (w.locktype, w.database, w.relation, w.transactionid, w.virtualxid)
    left join pg_catalog.pg_locks t on h.pid is null and t.virtualtransaction = h.virtualtransaction and t.locktype = 'transactionid' and t.granted
    left join pg_catalog.pg_prepared_xacts p on p.transaction = t.transactionid
)
select current_setting('server_version_num')::int as version, pg_is_in_recovery() as standby, current_setting('wal_level') as wal_level,
       current_setting('synchronous_standby_names') as synchronous, current_setting('max_slot_wal_keep_size') as keep,
       current_setting('max_replication_slots')::int as slots, (select count(*)::int from pg_catalog.pg_replication_slots) as slots_used,
       session_user::text as login, current_database()::text as database,
       current_setting('server_encoding') as encoding, pg_current_snapshot()::text as snapshot,
       (select r.rolreplication or r.rolsuper from pg_catalog.pg_roles r where r.rolname = session_user) as may_replicate,
       exists (select from pg_catalog.pg_publication p where p.pubname = $2) as publication,
       (select to_jsonb(s) from slot s) as slot,
       (select jsonb_agg(b.who order by b.who) from blocker b) as blockers
