-- The doorbell, last step before the local commit. While the sidecar polls it holds the lock "awake", and no NOTIFY is
-- sent: NOTIFY serialises commits. The order loses no wake-up: a session first takes "committing", then tests
-- "awake"; the sidecar first drops "awake", then looks for holders of "committing" before it sleeps. So either the
-- session sees it asleep and notifies, or the sidecar sees the session and stays awake. Both locks last until the
-- local commit is visible. Losing a notification costs latency only: a slow poll backs it up.
-- "committing" is half of the gate, too: where it cannot be had at once, the other half is asked for (pglobalxact._pass_gate).
-- Comments "fault point", here and on the sidecar's side: a test holds both sides at each of them (test/crash/doorbell-steps.test.ts).
create or replace function pglobalxact._ring()
returns boolean
language plpgsql volatile
as $$
declare
    marked boolean;
    asleep boolean;
begin
    -- fault point: before committing
    marked := pg_try_advisory_xact_lock_shared(pglobalxact._lock_key('committing'), 0);
    if not marked then
        perform pglobalxact._pass_gate();
    end if;
    -- fault point: before awake is tested
    asleep := not marked or pg_try_advisory_xact_lock_shared(pglobalxact._lock_key('awake'), 0);
    -- fault point: before notify
    if asleep then
        notify pglobalxact;
        return true;
    end if;
    return false;
end
$$;
comment on function pglobalxact._ring() is 'Internal. Wakes the sidecar if it sleeps; true when it had to.';
revoke all on function pglobalxact._ring() from public;
