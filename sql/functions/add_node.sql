create or replace function pglobalxact.add_node(server text)
returns table (item text, ok boolean, detail text, hint text)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    select r.* from jsonb_to_recordset(pglobalxact._request('add_node', jsonb_build_object('server', server, 'by', session_user)))
        as r (item text, ok boolean, detail text, hint text)
$$;
comment on function pglobalxact.add_node(text) is
    'Makes a foreign server (dblink_fdw or postgres_fdw) a node and has the sidecar check it; one row per check, with the command that cures what is not ok. '
    'The server is a node afterwards whatever the checks say. Errors: 42704 no such server, 42809 another wrapper, 55000 no sidecar.';
revoke all on function pglobalxact.add_node(text) from public;
grant execute on function pglobalxact.add_node(text) to pglobalxact_admin;
