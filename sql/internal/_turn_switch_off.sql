-- Runs on the loopback, when the end of a pause is committed. Left on by a crash, the switch costs every set a look at the row.
create or replace function pglobalxact._turn_switch_off()
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- The lock keeps a new pause from beginning between this look and the next line.
    if (select c.paused_at is null from pglobalxact.coordinator c for update) then
        perform setval('pglobalxact.pause_switch', 0);
    end if;
    return null;
end
$$;
comment on function pglobalxact._turn_switch_off() is 'Internal. Turns the switch beside coordinator.paused_at off, unless there is a pause.';
revoke all on function pglobalxact._turn_switch_off() from public;
grant execute on function pglobalxact._turn_switch_off() to @loopback_role@;
