-- The coordinator's part of a look at who waits for whom: the sets in flight, and the waits on this server. A deadlock needs a set that
-- has been open for a while, so unless everything is asked for, three questions stand before the costly one, each cheaper than the next:
-- does any transaction here have an xid and that age (no lock is looked at); is one of them a set; and does a session of a set wait
-- (sql/node/waits.sql). "patience" is deadlock_timeout as the sidecar's login has it, in milliseconds, as are ages.
create or replace function pglobalxact._waits(everything boolean)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    own constant text := (select c.id from pglobalxact.coordinator c);
    patience constant integer := extract(epoch from current_setting('deadlock_timeout')::interval) * 1000;
    answer constant jsonb := jsonb_build_object('patience', patience, 'tag', pglobalxact._nonce(own, '0', pg_postmaster_start_time()));
    sets jsonb;
begin
    if not everything and not exists (
        select from pg_stat_get_activity(null) a
        where a.backend_xid is not null and a.datid = (select d.oid from pg_database d where d.datname = current_database())
          and coalesce(a.xact_start < clock_timestamp() - patience / 4 * interval '1 ms', true)) then
        return answer;
    end if;
    select jsonb_agg(jsonb_build_object('set', s.set_id, 'xid', s.xid::text, 'pid', s.pid, 'nodes', s.nodes, 'role', s.role, 'name', s.application_name,
                     'state', a.state, 'backend_start', a.backend_start::text, 'age', extract(epoch from clock_timestamp() - s.started_at) * 1000))
    into sets
    from (select f.set_id, f.xid, f.pid, f.role, f.application_name, f.started_at, jsonb_agg(f.node) as nodes
          from pglobalxact.in_flight f where f.set_id is not null group by f.set_id, f.xid, f.pid, f.role, f.application_name, f.started_at) s
    join pg_stat_activity a on a.pid = s.pid;
    if not everything and not exists (
        select from jsonb_array_elements(sets) s where coalesce((s ->> 'age')::double precision >= patience / 4, true)) then
        return answer;
    end if;
    return answer || jsonb_build_object('sets', coalesce(sets, '[]'), 'look',
        (select to_jsonb(h) from pglobalxact._waits_here(everything, array(select (s ->> 'pid')::integer from jsonb_array_elements(sets) s)) h));
end
$$;
comment on function pglobalxact._waits(boolean) is
    'Internal. For the search for deadlocks: sets in flight, and who waits for whom on this server; neither where no set has been open for a while.';
revoke all on function pglobalxact._waits(boolean) from public;
