create or replace function pglobalxact.unwatch_node(server text, abandon boolean default false)
returns text
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    select pglobalxact._request('unwatch_node', jsonb_build_object('server', $1, 'abandon', $2, 'by', session_user)) ->> 'result'
$$;
comment on function pglobalxact.unwatch_node(text, boolean) is
    'Ends the decoding of a node and drops the slot there; says so. With abandon a node that does not answer is given up, and the slot, should it come back, is to be dropped by hand. '
    'Errors: 42704 not watched, 55000 the slot could not be dropped, or no sidecar.';
revoke all on function pglobalxact.unwatch_node(text, boolean) from public;
grant execute on function pglobalxact.unwatch_node(text, boolean) to pglobalxact_admin;
