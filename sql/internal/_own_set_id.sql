create or replace function pglobalxact._own_set_id()
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    return (select r.xid || '_' || r.nonce from pglobalxact.commit_record r
    where r.xid = pg_current_xact_id_if_assigned()
      and r.nonce = pglobalxact._nonce((select c.id from pglobalxact.coordinator c), r.xid, pg_postmaster_start_time()));
end
$$;
comment on function pglobalxact._own_set_id() is 'Internal. Id of the current transaction''s set, or null.';
revoke all on function pglobalxact._own_set_id() from public;
