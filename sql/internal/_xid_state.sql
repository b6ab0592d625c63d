create or replace function pglobalxact._xid_state(xid xid8)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return pg_xact_status(xid);
exception when invalid_parameter_value then
    return 'future';
end
$$;
comment on function pglobalxact._xid_state(xid8) is
    'Internal. pg_xact_status, or "future" for an xid that this server has not handed out yet (a crash or failover can take back what it had).';
revoke all on function pglobalxact._xid_state(xid8) from public;
