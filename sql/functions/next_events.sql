-- A batch is what lies between two snapshots: the consumer's place, and one that is written down when the batch is given out. Until it
-- is finished every call returns the same events again (_events says why they are the same).
--
-- A crash, or a rollback, before the caller's commit: the place stands where it was. A batch that was written down is given out
-- again, one that was not is made anew, and nothing had been finished. So a program that does its own work and finish_events in one
-- transaction has done each event exactly once, wherever it dies.
create or replace function pglobalxact.next_events(consumer text, most integer default 10000)
returns table (batch bigint, at timestamptz, what text, set_id text, node text, number bigint, who text, detail text, xid xid8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    own pglobalxact.consumer := pglobalxact._own_consumer(next_events.consumer);
    last boolean := false;
    found_some boolean;
begin
    if most is null or most < 1 then
        raise exception 'a batch has room for one event at least' using errcode = 'invalid_parameter_value', hint = 'Leave the parameter out, or give a greater one.';
    end if;
    loop
        if own.batch_to is null then
            select * into own.batch_to, own.batch_at, own.batch_number, last from pglobalxact._batch_end(own.position, own.position_number, most);
        end if;
        return query
        select own.batch + case when own.taken_at is null then 1 else 0 end, e.at, e.what, e.set_id, n.name::text, e.number, e.who, e.detail, e.xid
        from pglobalxact._events(own.position, own.batch_to) e left join pglobalxact.node n on n.number = e.node
        order by e.xid, e.stage, e.nth;
        found_some := found;
        exit when found_some or last;
        -- Nothing happened in between, and nothing can have happened there any more.
        own.position := own.batch_to; own.position_at := own.batch_at; own.position_number := own.batch_number;
        own.batch_to := null;
    end loop;
    if found_some then
        update pglobalxact.consumer c set position = own.position, position_at = own.position_at, position_number = own.position_number,
            batch = own.batch + case when own.taken_at is null then 1 else 0 end, batch_to = own.batch_to, batch_at = own.batch_at,
            batch_number = own.batch_number, taken_at = coalesce(own.taken_at, clock_timestamp()), taken_by = pg_current_xact_id()
        where c.name = own.name;
    else
        update pglobalxact.consumer c set position = own.batch_to, position_at = own.batch_at, position_number = own.batch_number, batch_to = null, batch_at = null,
            batch_number = null, taken_at = null, taken_by = pg_current_xact_id()
        where c.name = own.name;
    end if;
end
$$;
comment on function pglobalxact.next_events(text, integer) is
    'The consumer''s next batch of events, the same until it is finished; no row when nothing has happened since. Each set''s in their order. A consumer that is behind gets about as many as most says at a time. '
    'Another session that reads for the same consumer waits until this transaction ends. '
    'Errors: 42704 unknown consumer, 42501 another role''s, 55000 expired, or its place is another server''s, 22023 most is not above 0.';
revoke all on function pglobalxact.next_events(text, integer) from public;
grant execute on function pglobalxact.next_events(text, integer) to pglobalxact_monitor;
