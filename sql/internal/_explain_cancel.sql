-- Called where a cancel has been caught and is about to be raised again. If the sidecar sent it, to end a deadlock over several servers,
-- the sidecar holds an advisory lock that says so: then the error is the one that PostgreSQL has for deadlocks, which programs
-- know how to answer. Any role could take such a lock: only that of pglobalxact's own counts.
-- The program may catch that error and go on: a savepoint takes back what the set noted of the node it was just at, and only that. So its
-- branches end here, with their connections, which no savepoint brings back. What they held is free at once, and what was done on a
-- node before the savepoint cannot be committed any more: its COMMIT finds no connection.
create or replace function pglobalxact._explain_cancel()
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    connection text;
    set_id constant text := split_part(current_setting('pglobalxact.set', true), ' ', 1);
begin
    if set_id like pg_current_xact_id_if_assigned()::text || '\_%' and exists (
        select from pg_locks l join pg_stat_activity a using (pid)
        where l.locktype = 'advisory' and l.objsubid = 2 and l.granted
          and l.classid = any (pglobalxact._lock_keys('deadlock')) and l.objid = pglobalxact._short_xid(set_id)::oid
          and l.database = (select d.oid from pg_database d where d.datname = current_database())
          and pg_has_role(a.usesysid, 'pglobalxact', 'member')) then
        foreach connection in array coalesce(@extschema:dblink@.dblink_get_connections(), '{}') loop
            if connection ~ '^pgx_[0-9]+_' then
                perform pglobalxact._drop_connection(connection);
            end if;
        end loop;
        raise exception 'deadlock detected over several servers: set % was rolled back', set_id
            using errcode = 'deadlock_detected',
                  detail = 'It was the youngest of a cycle of sets that wait for one another.',
                  hint = format('Run the transaction again. Who waited for whom: select * from pglobalxact.history(%L);', set_id);
    end if;
end
$$;
comment on function pglobalxact._explain_cancel() is
    'Internal. If the cancel that was caught ends a deadlock over several servers, ends the set''s branches; ERROR 40P01.';
revoke all on function pglobalxact._explain_cancel() from public;
grant execute on function pglobalxact._explain_cancel() to pglobalxact_user;
