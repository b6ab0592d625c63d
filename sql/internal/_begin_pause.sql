-- Runs on the loopback. The row is locked first, so that no resume() turns the switch off behind this.
create or replace function pglobalxact._begin_pause(by name, reason text)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    paused pglobalxact.coordinator;
    begins boolean;
begin
    -- A pause that somebody was told of must outlive a crash. (As a setting of this function it would end before the commit.)
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    select * into paused from pglobalxact.coordinator for update;
    perform setval('pglobalxact.pause_switch', 1);
    begins := paused.paused_at is null;
    if begins then
        update pglobalxact.coordinator c set paused_at = clock_timestamp(), paused_by = by, pause_reason = reason returning * into paused;
        insert into pglobalxact.event (kind, who, detail) values ('paused', by, reason);
    end if;
    return jsonb_build_object('begins', begins, 'since', paused.paused_at, 'by', paused.paused_by, 'reason', paused.pause_reason);
end
$$;
comment on function pglobalxact._begin_pause(name, text) is 'Internal. Pauses, unless it is paused already; returns the pause in effect.';
revoke all on function pglobalxact._begin_pause(name, text) from public;
grant execute on function pglobalxact._begin_pause(name, text) to @loopback_role@;
