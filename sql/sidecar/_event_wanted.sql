-- Whether what happens must be told to consumers. The order counts: the transaction has its xid first, then it reads the switch (add_consumer).
create or replace function pglobalxact._event_wanted()
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    own constant xid8 := pg_current_xact_id();
begin
    return (select s.last_value from pglobalxact.event_switch s) = 1;
end
$$;
comment on function pglobalxact._event_wanted() is 'Internal. Whether the present transaction must write events for consumers.';
revoke all on function pglobalxact._event_wanted() from public;
