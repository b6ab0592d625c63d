create or replace function pglobalxact.recover()
returns table (node name, prepared integer, committed integer, rolled_back integer, left_alone integer, result text)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    select r.* from jsonb_to_recordset(pglobalxact._request('recover', '{}'))
        as r (node name, prepared integer, committed integer, rolled_back integer, left_alone integer, result text)
$$;
comment on function pglobalxact.recover() is
    'Looks at every node now, by the same rule as the sidecar does by itself, and settles what can be settled; one row per node. Error 55000 when no sidecar runs.';
revoke all on function pglobalxact.recover() from public;
grant execute on function pglobalxact.recover() to pglobalxact_admin;
