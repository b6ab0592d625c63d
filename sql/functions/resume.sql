create or replace function pglobalxact.resume()
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    resumed constant boolean := pglobalxact._on_loopback(format('select pglobalxact._end_pause(%L)', session_user)) is not null;
begin
    perform pglobalxact._on_loopback('select pglobalxact._turn_switch_off()');
    if not resumed then
        raise notice 'pglobalxact is not paused';
    end if;
    return resumed;
end
$$;
comment on function pglobalxact.resume() is
    'Ends a pause: sets may begin again at once, whatever the caller''s transaction does. False (and a NOTICE) when there is none. Needs no sidecar.';
revoke all on function pglobalxact.resume() from public;
grant execute on function pglobalxact.resume() to pglobalxact_admin;
