create or replace function pglobalxact.consumers()
returns table (consumer text, role name, state text, behind interval, batch bigint, keep interval, holds_back interval)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select c.name, c.role, case when c.expired_at is not null then 'expired' when c.batch_to is not null then 'at work' else 'waiting' end,
           date_trunc('second', clock_timestamp() - c.position_at), c.batch, c.keep,
           case when c.expired_at is null and clock_timestamp() - c.position_at > o.retention
                then date_trunc('second', clock_timestamp() - c.position_at - o.retention) end
    from pglobalxact.consumer c cross join pglobalxact.coordinator o
    order by c.expired_at is null, c.position_at, c.name
$$;
comment on function pglobalxact.consumers() is
    'Consumers of events, those furthest behind first. State: waiting, at work (a batch is out), or expired (it finished nothing for as long as keep says: add it anew). behind: since its place; '
    'batch: the number of its last one; holds_back: by how much records are kept for it beyond the retention time.';
revoke all on function pglobalxact.consumers() from public;
grant execute on function pglobalxact.consumers() to pglobalxact_monitor;
