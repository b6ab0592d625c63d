create or replace function pglobalxact.events(after pg_snapshot, upto pg_snapshot default null)
returns table (at timestamptz, what text, set_id text, node text, number bigint, who text, detail text, xid xid8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    border constant pg_snapshot := coalesce(events.upto, pglobalxact._present());
begin
    if pg_is_in_recovery() then
        raise exception 'events cannot be read on a standby: its snapshots do not tell which transactions are in progress'
            using errcode = 'object_not_in_prerequisite_state', hint = 'Ask the primary.';
    elsif after is null or not pglobalxact._covers(border, after) then
        raise exception 'snapshot % does not lie before snapshot %', coalesce(after::text, 'null'), border using errcode = 'invalid_parameter_value',
            hint = 'Both are values of pg_current_snapshot() of this server; of the first, nothing may be in progress in the second that it has seen.';
    elsif not pglobalxact._covers(pg_current_snapshot(), border) then
        raise exception 'snapshot % holds what this transaction cannot see', border using errcode = 'invalid_parameter_value',
            hint = 'In a REPEATABLE READ transaction ask for nothing later than its own pg_current_snapshot().';
    elsif pg_snapshot_xmin(after) <= (select c.events_purged_to from pglobalxact.coordinator c) then
        raise exception 'events behind snapshot % are no longer kept', after using errcode = 'object_not_in_prerequisite_state',
            hint = 'They are kept for the retention time, and longer for consumers: see pglobalxact.add_consumer.';
    end if;
    return query
    select e.at, e.what, e.set_id, n.name::text, e.number, e.who, e.detail, e.xid
    from pglobalxact._events(after, border) e left join pglobalxact.node n on n.number = e.node
    order by e.xid, e.stage, e.nth;
end
$$;
comment on function pglobalxact.events(pg_snapshot, pg_snapshot) is
    'Events of the transactions that are visible in the second snapshot (default: now) and not in the first, for those who keep their own place. Whether sets finished is told for the time in which there are consumers. '
    'Errors: 22023 the first is not before the second, or the second not before now; 55000 no longer kept, or on a standby.';
revoke all on function pglobalxact.events(pg_snapshot, pg_snapshot) from public;
grant execute on function pglobalxact.events(pg_snapshot, pg_snapshot) to pglobalxact_monitor;
