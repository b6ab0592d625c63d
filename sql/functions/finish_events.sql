create or replace function pglobalxact.finish_events(consumer text, batch bigint default null)
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    own pglobalxact.consumer := pglobalxact._own_consumer(finish_events.consumer);
begin
    if finish_events.batch is null then
        -- Somebody else may have finished the batch that the caller has in mind, and have taken another one.
        if own.taken_by is distinct from pg_current_xact_id_if_assigned() then
            raise exception 'this transaction has not taken a batch of consumer "%"', own.name using errcode = 'object_not_in_prerequisite_state',
                hint = 'Call next_events and finish_events in one transaction, or give finish_events the number of the batch.';
        end if;
    elsif own.batch_to is null or own.batch <> finish_events.batch then
        raise exception 'batch % of consumer "%" is not out', finish_events.batch, own.name using errcode = 'object_not_in_prerequisite_state',
            detail = case when finish_events.batch <= own.batch then 'It was finished before.' else 'It was never taken.' end,
            hint = 'ROLLBACK, if this transaction holds work for that batch: it has been done.';
    end if;
    if own.batch_to is not null then
        update pglobalxact.consumer c set position = own.batch_to, position_at = own.batch_at, position_number = own.batch_number,
            batch_to = null, batch_at = null, batch_number = null, taken_at = null, taken_by = null
        where c.name = own.name;
    end if;
end
$$;
comment on function pglobalxact.finish_events(text, bigint) is
    'The batch is done, and the next call of next_events goes on behind it: when this transaction commits. Without a number: the batch that this very transaction took; none, if nothing had happened. '
    'Errors: 55000 that batch is not out (any more), or the consumer has expired; 42704 unknown consumer, 42501 another role''s.';
revoke all on function pglobalxact.finish_events(text, bigint) from public;
grant execute on function pglobalxact.finish_events(text, bigint) to pglobalxact_monitor;
