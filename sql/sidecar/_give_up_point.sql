create or replace function pglobalxact._give_up_point(id text)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    update pglobalxact.restore_point p set failed_at = clock_timestamp() where p.id = _give_up_point.id and p.completed_at is null and p.failed_at is null
$$;
comment on function pglobalxact._give_up_point(text) is 'Internal. A restore point that was not completed is none; nothing of it is left on the nodes.';
revoke all on function pglobalxact._give_up_point(text) from public;
