-- A squatter's exclusive lock must neither stop a set nor hide it (the sidecar would take its remote work for abandoned), so a
-- spare serves.
create or replace function pglobalxact._mark_in_flight(node integer)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    for spare in 1 .. 3 loop
        if pg_try_advisory_xact_lock_shared(pglobalxact._lock_key('in flight', spare), node) then
            return;
        end if;
    end loop;
    raise exception 'the set cannot be marked as in flight: other sessions hold its advisory locks'
        using errcode = 'lock_not_available',
              hint = format('See who: select * from pg_locks where locktype = ''advisory'' and classid = %s;', pglobalxact._lock_key('in flight'));
end
$$;
comment on function pglobalxact._mark_in_flight(integer) is 'Internal. Takes a spare of the shared advisory lock that shows a set in flight on a node.';
revoke all on function pglobalxact._mark_in_flight(integer) from public;
