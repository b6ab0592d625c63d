-- Works without an acting sidecar: the one that waits for it looks again within seconds.
create or replace function pglobalxact.adopt(reason text)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    waiting pglobalxact.sidecar := (select s from pglobalxact.sidecar s);
begin
    perform pglobalxact._require_reason(reason, 'select pglobalxact.adopt(''failover to this host, the old one is gone'');');
    if waiting.home is null or exists (select from pglobalxact.home h where h.id = waiting.home) then
        raise exception 'no sidecar of an unknown home waits here' using errcode = 'object_not_in_prerequisite_state',
            hint = 'See: select * from pglobalxact.status(); to allow a home beforehand use pglobalxact.allow_home(id, reason).';
    end if;
    insert into pglobalxact.home (id, reason) values (waiting.home, adopt.reason);
    insert into pglobalxact.event (kind, detail) values ('adopted', format('home %s: %s', waiting.home, adopt.reason));
    notify pglobalxact;
    return waiting.home;
end
$$;
comment on function pglobalxact.adopt(text) is
    'Lets the sidecar that waits here with an unknown state directory act for this coordinator, from commit on. Only if the host it replaces is gone for good, or this is no copy of a living database. Returns its home.';
revoke all on function pglobalxact.adopt(text) from public;
grant execute on function pglobalxact.adopt(text) to pglobalxact_admin;
