create or replace function pglobalxact.state_lines(set_id text default null)
returns setof text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return query select jsonb_array_elements_text(pglobalxact._request('state_lines',
        jsonb_build_object('set', case when state_lines.set_id is not null then pglobalxact._canonical_set(state_lines.set_id) end)));
end
$$;
comment on function pglobalxact.state_lines(text) is
    'Lines of the sidecar''s state files for one set, or for all sets in them, as cat would show them. Needs a running sidecar.';
revoke all on function pglobalxact.state_lines(text) from public;
grant execute on function pglobalxact.state_lines(text) to pglobalxact_monitor;
