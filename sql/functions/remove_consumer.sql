create or replace function pglobalxact.remove_consumer(consumer text)
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from pglobalxact.consumer c where c.name = remove_consumer.consumer;
    if not found then
        perform pglobalxact._refuse_consumer(remove_consumer.consumer);
    end if;
end
$$;
comment on function pglobalxact.remove_consumer(text) is 'Removes a consumer of events: nothing waits for it any more. Error 42704 unknown consumer.';
revoke all on function pglobalxact.remove_consumer(text) from public;
grant execute on function pglobalxact.remove_consumer(text) to pglobalxact_admin;
