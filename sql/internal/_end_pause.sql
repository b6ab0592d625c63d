-- Runs on the loopback, and commits before the switch is turned off.
create or replace function pglobalxact._end_pause(by name)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    paused pglobalxact.coordinator;
begin
    select * into paused from pglobalxact.coordinator for update;
    if paused.paused_at is null then
        return null;
    end if;
    update pglobalxact.coordinator c set paused_at = null, paused_by = null, pause_reason = null;
    insert into pglobalxact.event (kind, who, detail)
    values ('resumed', by, format('paused by %s for %s: %s', paused.paused_by,
                                  date_trunc('second', clock_timestamp() - paused.paused_at), paused.pause_reason));
    return 'resumed';
end
$$;
comment on function pglobalxact._end_pause(name) is 'Internal. Ends a pause; null when there is none.';
revoke all on function pglobalxact._end_pause(name) from public;
grant execute on function pglobalxact._end_pause(name) to @loopback_role@;
