-- The trigger is the switch: while no clock is kept there is nothing on the commit path that would ask. A set has written its branches before
-- this has its lock, and then it has no time; or it writes them after this has committed, and then it has.
create or replace function pglobalxact.keep_clock(tolerance interval default '1 second')
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
begin
    if tolerance is null or tolerance <= interval '0' then
        raise exception 'clocks are never quite alike: the tolerance must be above 0' using errcode = 'invalid_parameter_value',
            hint = 'For example: select pglobalxact.keep_clock(''1 second'');';
    end if;
    insert into pglobalxact.clock as c (tolerance, kept_by) values (keep_clock.tolerance, session_user)
    on conflict (only_row) do update set tolerance = excluded.tolerance, kept_by = excluded.kept_by, kept_at = excluded.kept_at;
    if not exists (select from pg_trigger t where t.tgrelid = 'pglobalxact.branch_record'::regclass and t.tgname = 'stamp_set') then
        create constraint trigger stamp_set after insert on pglobalxact.branch_record
            deferrable initially deferred for each row execute function pglobalxact._stamp_set();
        insert into pglobalxact.event (kind, detail) values ('clock kept', format('clocks may be %s apart', tolerance));
    end if;
end
$$;
comment on function pglobalxact.keep_clock(interval) is
    'From now on every set gets a time that orders it with all sets it has to do with, of this and of other coordinators that keep a clock: see set_clock. COMMIT asks each node for its clock, and waits for the slowest; '
    'a set whose servers'' clocks are further apart than the tolerance fails. Again: another tolerance. Run it alone: sets wait for its transaction. Error 22023 no tolerance.';
revoke all on function pglobalxact.keep_clock(interval) from public;
grant execute on function pglobalxact.keep_clock(interval) to pglobalxact_admin;
