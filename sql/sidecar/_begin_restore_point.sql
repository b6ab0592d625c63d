-- To be called, and committed, with the gate closed and before the restore point is written anywhere: what that is good for says the table.
create or replace function pglobalxact._begin_restore_point(id text, name text, asked_by name, nodes integer[])
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pglobalxact.restore_point (id, name, asked_by, timeline, nodes)
    values (_begin_restore_point.id, _begin_restore_point.name, _begin_restore_point.asked_by, left(pg_walfile_name(pg_current_wal_lsn()), 8), _begin_restore_point.nodes);
exception when unique_violation then
    perform pglobalxact._refuse_point_name(_begin_restore_point.name);
end
$$;
comment on function pglobalxact._begin_restore_point(text, text, name, integer[]) is 'Internal. Writes down that a restore point is about to be written.';
revoke all on function pglobalxact._begin_restore_point(text, text, name, integer[]) from public;
