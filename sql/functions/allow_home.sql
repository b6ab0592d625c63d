create or replace function pglobalxact.allow_home(id text, reason text)
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pglobalxact._require_reason(reason, 'select pglobalxact.allow_home(''…'', ''standby of the failover pair'');');
    if allow_home.id is null or allow_home.id !~ '^[0-9a-f]{16}$' then
        raise exception '"%" is not the id of a home', allow_home.id using errcode = 'invalid_parameter_value',
            hint = 'It is the 16 hex digits in the file "home" of the other host''s state directory.';
    end if;
    insert into pglobalxact.home (id, reason) values (allow_home.id, allow_home.reason) on conflict do nothing;
    insert into pglobalxact.event (kind, detail) values ('home allowed', format('home %s: %s', allow_home.id, allow_home.reason));
end
$$;
comment on function pglobalxact.allow_home(text, text) is
    'Allows a state directory''s sidecar to act for this coordinator before it is needed: how a planned failover pair runs unattended.';
revoke all on function pglobalxact.allow_home(text, text) from public;
grant execute on function pglobalxact.allow_home(text, text) to pglobalxact_admin;
