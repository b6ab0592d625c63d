-- In the gate's own transaction: its commit opens the gate, so no set commits between the restore point and this.
create or replace function pglobalxact._complete_restore_point(id text, manifest jsonb)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update pglobalxact.restore_point p set completed_at = clock_timestamp(), manifest = _complete_restore_point.manifest
    where p.id = _complete_restore_point.id and p.failed_at is null;
    if not found then
        raise exception 'the restore point was given up meanwhile' using errcode = 'object_not_in_prerequisite_state', hint = 'Try again, with another name.';
    end if;
end
$$;
comment on function pglobalxact._complete_restore_point(text, jsonb) is 'Internal. A restore point is written on all servers.';
revoke all on function pglobalxact._complete_restore_point(text, jsonb) from public;
