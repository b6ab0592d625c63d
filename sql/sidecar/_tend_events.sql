-- With the sidecar's heartbeat: what consumers of events need now and then. Without one it reads a sequence and no more.
create or replace function pglobalxact._tend_events()
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    drawn constant bigint := (select s.last_value from pglobalxact.set_number s);
begin
    if (select s.last_value from pglobalxact.event_switch s) = 0 then
        return;
    elsif not exists (select from pglobalxact.consumer) then
        -- add_consumer writes its row, and holds that lock to its end, before it turns the switch on. So where the lock is had, and
        -- no row is seen in a later snapshot, there is none; and one that comes later turns the switch on later.
        begin
            lock table pglobalxact.consumer in share mode nowait;
            if current_setting('transaction_isolation') = 'read committed' and not exists (select from pglobalxact.consumer) then
                perform setval('pglobalxact.event_switch', 0);
            end if;
        exception when lock_not_available then
            null; -- next time
        end;
        return;
    end if;
    -- Thousands of branches apart; only where somebody has not read for a while.
    insert into pglobalxact.tick (number, snapshot, at)
    select drawn, pglobalxact._present(), clock_timestamp()
    where drawn >= 1000 + greatest((select max(t.number) from pglobalxact.tick t), (select min(c.position_number) from pglobalxact.consumer c where c.expired_at is null))
    on conflict do nothing;
    delete from pglobalxact.tick t
    where t.number <= coalesce((select min(c.position_number) from pglobalxact.consumer c where c.expired_at is null), drawn);
    -- Sets whose node is away finish nothing that would tell of them.
    if exists (select from pglobalxact.commit_record r where r.complete_at is null) then
        notify pglobalxact_events;
    end if;
end
$$;
comment on function pglobalxact._tend_events() is 'Internal. Turns the writing of events off behind the last consumer, and writes ticks for one that is behind.';
revoke all on function pglobalxact._tend_events() from public;
