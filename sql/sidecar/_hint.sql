create or replace function pglobalxact._hint()
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if (select s.last_value from pglobalxact.event_switch s) = 1 then
        notify pglobalxact_events;
    end if;
end
$$;
comment on function pglobalxact._hint() is 'Internal. Tells consumers, if there are any, that there are events.';
revoke all on function pglobalxact._hint() from public;
