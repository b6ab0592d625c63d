create or replace function pglobalxact.stop_clock()
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
begin
    delete from pglobalxact.clock;
    if not found then
        return false;
    end if;
    drop trigger if exists stamp_set on pglobalxact.branch_record;
    insert into pglobalxact.event (kind, detail) values ('clock stopped', '');
    return true;
end
$$;
comment on function pglobalxact.stop_clock() is 'Sets get no time any more, and COMMIT asks no clock. False when none was kept. Run it alone: sets wait for its transaction.';
revoke all on function pglobalxact.stop_clock() from public;
grant execute on function pglobalxact.stop_clock() to pglobalxact_admin;
