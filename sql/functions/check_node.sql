create or replace function pglobalxact.check_node(server text)
returns table (item text, ok boolean, detail text, hint text)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    select r.* from jsonb_to_recordset(pglobalxact._request('check_node', jsonb_build_object('server', server, 'by', session_user)))
        as r (item text, ok boolean, detail text, hint text)
$$;
comment on function pglobalxact.check_node(text) is
    'Has the sidecar check a node now: reachable, not a standby, prepared slots, roles whose branches it may finish. Errors: 42704 unknown node, 55000 no sidecar.';
revoke all on function pglobalxact.check_node(text) from public;
grant execute on function pglobalxact.check_node(text) to pglobalxact_admin, pglobalxact_monitor;
