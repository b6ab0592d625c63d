create or replace function pglobalxact.retry(set_id text)
returns table (node name, result text)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    select r.node, r.result
    from jsonb_to_recordset(pglobalxact._request('retry', jsonb_build_object('set', pglobalxact._canonical_set(retry.set_id)))) as r (node name, result text)
$$;
comment on function pglobalxact.retry(text) is
    'Tries the unfinished branches of a set now instead of at their next retry; tells what each node answered. Errors: 42704 unknown set, 55000 no sidecar.';
revoke all on function pglobalxact.retry(text) from public;
grant execute on function pglobalxact.retry(text) to pglobalxact_admin;
