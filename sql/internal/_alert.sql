-- What enters history and wants a person goes out as a notification too: here, in one place, whoever wrote the event.
-- It is only a hint: it is lost on whoever does not listen, and any role can send one that looks the same.
create or replace function pglobalxact._alert()
returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.kind in ('mixed', 'unknown', 'contradiction', 'disagreement', 'drill failed', 'node lost', 'state damaged', 'state unwritable', 'state writable') then
        -- A payload holds less than 8000 bytes, and JSON may need six for a character.
        perform pg_notify('pglobalxact_alert', jsonb_build_object(
            'kind', new.kind, 'set', left(new.set_id, 100), 'node', (select n.name from pglobalxact.node n where n.number = new.node),
            'detail', left(new.detail, 1000))::text);
    end if;
    return null;
end
$$;
comment on function pglobalxact._alert() is
    'Internal. Trigger of the event table: tells of events that want a person on channel pglobalxact_alert, as a JSON object of kind, set, node and detail.';
revoke all on function pglobalxact._alert() from public;

do $$
begin
    if not exists (select from pg_catalog.pg_trigger t where t.tgrelid = 'pglobalxact.event'::regclass and t.tgname = 'alert') then
        create trigger alert after insert on pglobalxact.event for each row execute function pglobalxact._alert();
    end if;
end
$$;
