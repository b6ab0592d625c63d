create or replace function pglobalxact._refuse_consumer(consumer text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'consumer "%" does not exist', consumer using errcode = 'undefined_object',
        hint = format('See: select * from pglobalxact.consumers(); to add it: select pglobalxact.add_consumer(%L);', coalesce(consumer, '…'));
end
$$;
comment on function pglobalxact._refuse_consumer(text) is 'Internal. ERROR 42704 for a consumer that is not there.';
revoke all on function pglobalxact._refuse_consumer(text) from public;
