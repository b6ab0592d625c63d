-- How far the purge may go with consumers in mind: what became complete before "before", and events of transactions before "before_xid".
-- Null without any. A consumer that kept it waiting for longer than was agreed expires here, and is waited for no more; but not
-- while a transaction is at work on its batch: it may be about to finish it.
-- An hour more: the sidecar's clock says when a set was complete, the server's when a place was taken.
create or replace function pglobalxact._hold_back(out before timestamptz, out before_xid xid8)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    with late as (
        select c.name from pglobalxact.consumer c
        where c.expired_at is null and c.position_at < clock_timestamp() - c.keep for update skip locked
    ), expired as (
        update pglobalxact.consumer c set expired_at = clock_timestamp() from late l where c.name = l.name returning c.name, c.keep
    )
    insert into pglobalxact.event (kind, detail)
    select 'consumer expired', format('consumer "%s" finished no batch for %s: events are no longer kept for it', e.name, e.keep) from expired e;
    select min(c.position_at) - interval '1 hour', (array_agg(pg_snapshot_xmin(c.position) order by pg_snapshot_xmin(c.position)))[1]
    into before, before_xid from pglobalxact.consumer c where c.expired_at is null;
end
$$;
comment on function pglobalxact._hold_back() is 'Internal. What the purge must leave for consumers of events; those that have kept it too long expire.';
revoke all on function pglobalxact._hold_back() from public;
