-- The gate: from here to the end of the calling transaction no set commits, and none that has committed is not visible yet.
--
--   set, in its COMMIT                                   gate
--   C1  tries "committing", shared, without waiting      G1  the table's lock, EXCLUSIVE
--   C2  failing that: the table's lock, ROW SHARE        G2  "committing", alone
--   C3  commits; both are given up once it is visible    G3  everything between G2 and the end of the transaction
--
-- A set that got "committing" had it before G2 was granted (else its try fails), so G2 has waited for its commit to be visible. One that
-- did not get it has the table's lock: granted before G1, and then G1 has waited, or after the gate. While G1 or G2 is waited for,
-- later sets fail at C1 (a try fails behind a waiter) or pass, and are waited for: under load there is always one, so a gate
-- that only tried would never close. Sets whose branches wrote nothing pass: there is nothing of theirs on any node.
-- EXCLUSIVE lets ACCESS SHARE through: a pg_dump that runs does not keep the gate from closing.
--
-- Waiting sets may hold row locks, and a session that prepared its set early (SET CONSTRAINTS ALL IMMEDIATE) may wait for one: a
-- circle. It is this function that gives way, before the server would look for a deadlock among those who wait for it.
-- Both locks end with the transaction, whatever becomes of the sidecar: a session that is idle in it is ended by the server.
create or replace function pglobalxact._close_gate(patience interval)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    began constant timestamptz := clock_timestamp();
    most constant interval := least(patience, 0.8 * current_setting('deadlock_timeout')::interval);
    in_the_way text;
begin
    perform set_config('lock_timeout', greatest(1, floor(extract(epoch from most) * 1000))::integer || 'ms', true);
    lock table pglobalxact.gate in exclusive mode;
    perform set_config('lock_timeout', greatest(1, floor(extract(epoch from began + most - clock_timestamp()) * 1000))::integer || 'ms', true);
    perform pg_advisory_xact_lock(pglobalxact._lock_key('committing'), 0);
    perform set_config('idle_in_transaction_session_timeout', greatest(1, floor(extract(epoch from began + patience - clock_timestamp()) * 1000))::integer || 'ms', true);
exception when lock_not_available then
    select string_agg(distinct coalesce(format('pid %s (role "%s", application "%s", %s since %s)', a.pid, a.usename, a.application_name, a.state, date_trunc('second', a.state_change)),
                              'a prepared transaction of this database'), ', ')
    into in_the_way
    from pg_locks l left join pg_stat_activity a on a.pid = l.pid
    where l.granted and l.pid is distinct from pg_backend_pid()
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
      and (l.relation = 'pglobalxact.gate'::regclass and l.mode not in ('AccessShareLock', 'ShareUpdateExclusiveLock')
           or l.locktype = 'advisory' and l.objsubid = 2 and l.classid = pglobalxact._lock_key('committing')::oid and l.objid = 0);
    perform pglobalxact._raise('55P03', format('commits of sets could not be held within %s ms: some session does not come to the end of its commit', (extract(epoch from clock_timestamp() - began) * 1000)::integer),
        'In the way: ' || coalesce(in_the_way, 'nobody any more') || '. Nothing was done, and no commit is held any more.',
        'Try again; a session that stays there has run SET CONSTRAINTS ALL IMMEDIATE, or holds an advisory lock of pglobalxact, and can be ended with pg_terminate_backend.');
end
$$;
comment on function pglobalxact._close_gate(interval) is
    'Internal. Holds up the commits of sets until the end of this transaction; all earlier ones are visible. ERROR 55P03 when some session stays in its commit.';
revoke all on function pglobalxact._close_gate(interval) from public;
