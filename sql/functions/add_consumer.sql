-- From when on has a new consumer all events? What only table set_event tells is written by transactions that found the switch on. So
--   A1  the consumer's row is written: from here on nobody turns the switch off (_tend_events)
--   A2  the switch is turned on, for everyone at once
--   A3  the border: the first xid that has not been handed out
-- and a writer
--   W1  has an xid
--   W2  reads the switch
-- One whose xid is at or above the border did W1 behind A3, so it reads "on". One below may have read "off": the consumer gets none of
-- those. A rollback, or a crash, leaves the switch on for nothing; _tend_events turns it off.
create or replace function pglobalxact.add_consumer(consumer text, role name default session_user, keep interval default '7 days')
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    border xid8;
begin
    if coalesce(consumer, '') = '' or keep is null or keep <= interval '0' then
        raise exception 'a consumer needs a name, and a time that events are kept for it' using errcode = 'invalid_parameter_value',
            hint = 'For example: select pglobalxact.add_consumer(''billing'', keep => ''3 days'');';
    elsif not exists (select from pg_roles r where r.rolname = role) then
        raise exception 'role "%" does not exist', role using errcode = 'undefined_object', hint = 'Name the role that is to read the events.';
    end if;
    begin
        insert into pglobalxact.consumer (name, role, keep, position, position_at, position_number)
        values (consumer, role, keep, '1:1:', clock_timestamp(), 0);
    exception when unique_violation then
        raise exception 'consumer "%" is there already', consumer using errcode = 'duplicate_object',
            hint = format('See: select * from pglobalxact.consumers(); to begin anew, first: select pglobalxact.remove_consumer(%L);', consumer);
    end;
    perform setval('pglobalxact.event_switch', 1);
    border := greatest(pg_snapshot_xmax(pg_current_snapshot()), pg_current_xact_id());
    while pglobalxact._xid_state(border) is distinct from 'future' loop
        border := (border::text::numeric + 1)::text::xid8;
    end loop;
    update pglobalxact.consumer c set position = format('%s:%s:', border, border)::pg_snapshot, position_at = clock_timestamp(),
        position_number = (select s.last_value from pglobalxact.set_number s)
    where c.name = consumer;
end
$$;
comment on function pglobalxact.add_consumer(text, name, interval) is
    'Adds a consumer of events, for a role and its members to read. It gets every event of every transaction that begins from now on. Events wait for it as long as keep says, '
    'if need be longer than the retention time; a consumer that finishes no batch for so long expires. Errors: 42710 it is there already, 42704 no such role, 22023 no name, or no time.';
revoke all on function pglobalxact.add_consumer(text, name, interval) from public;
grant execute on function pglobalxact.add_consumer(text, name, interval) to pglobalxact_admin;
