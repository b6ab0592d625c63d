-- Cancels the statement of a session, if it still is in the very set that was seen in a deadlock. Nobody can hold a session still
-- between the look and the signal; but one that is in a deadlock goes nowhere by itself.
-- The advisory lock tells the session what its cancel means (_explain_cancel): unlike a row, it is seen from any snapshot. It
-- stays with the sidecar's session until the set is gone (_forget_cancelled).
create or replace function pglobalxact._cancel_set(set_id text, pid integer, backend_start timestamptz)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from pglobalxact.in_flight f join pg_stat_activity a on a.pid = f.pid
                   where f.set_id = _cancel_set.set_id and f.pid = _cancel_set.pid
                     and (a.backend_start = _cancel_set.backend_start or _cancel_set.backend_start is null)
                     and coalesce(a.state, 'active') = 'active') then
        return false;
    end if;
    perform pg_try_advisory_lock(pglobalxact._lock_key('deadlock'), pglobalxact._short_xid(_cancel_set.set_id));
    return pg_cancel_backend(_cancel_set.pid);
end
$$;
comment on function pglobalxact._cancel_set(text, integer, timestamptz) is
    'Internal. Cancels the running statement of a set that is to be rolled back to end a deadlock; false when the set is gone or idle.';
revoke all on function pglobalxact._cancel_set(text, integer, timestamptz) from public;
