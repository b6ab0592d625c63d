-- The consumer's row, locked until the end of the caller's transaction: two sessions that read for one consumer take turns.
create or replace function pglobalxact._own_consumer(consumer text)
returns pglobalxact.consumer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    own pglobalxact.consumer;
begin
    select * into own from pglobalxact.consumer c where c.name = _own_consumer.consumer for update;
    if own.name is null then
        perform pglobalxact._refuse_consumer(_own_consumer.consumer);
    elsif to_regrole(quote_ident(own.role)) is null or not pg_has_role(session_user, own.role, 'member') then
        raise exception 'consumer "%" is for role "%" to read', own.name, own.role using errcode = 'insufficient_privilege',
            hint = 'Every consumer has a place of its own: add one for your role with pglobalxact.add_consumer.';
    elsif own.expired_at is not null then
        raise exception 'consumer "%" has expired: it finished no batch for %', own.name, own.keep using errcode = 'object_not_in_prerequisite_state',
            detail = format('Events since %s may have been purged.', date_trunc('second', own.position_at)),
            hint = format('Look at everything once, and begin anew: select pglobalxact.remove_consumer(%L); select pglobalxact.add_consumer(%L);', own.name, own.name);
    elsif pg_snapshot_xmax(own.position) > pg_snapshot_xmax(pg_current_snapshot()) and pglobalxact._xid_state((pg_snapshot_xmax(own.position)::text::numeric - 1)::text::xid8) = 'future' then
        raise exception 'the place of consumer "%" lies in the future of this server', own.name using errcode = 'object_not_in_prerequisite_state',
            detail = 'It was kept on another server, or on another time line: the database was restored from a dump, or copied.',
            hint = format('Look at everything once, and begin anew: select pglobalxact.remove_consumer(%L); select pglobalxact.add_consumer(%L);', own.name, own.name);
    end if;
    return own;
end
$$;
comment on function pglobalxact._own_consumer(text) is 'Internal. Locks and returns a consumer of the session''s role; an error if there is none, or its place is lost.';
revoke all on function pglobalxact._own_consumer(text) from public;
