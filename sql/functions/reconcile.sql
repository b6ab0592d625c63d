-- The sidecar looks at all servers of the manifest (sidecar/reconcile.ts). Called again it finds what is left.
create or replace function pglobalxact.reconcile(manifest jsonb, committed jsonb default null)
returns table (server text, set_id text, state text, result text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pglobalxact._moment_of(manifest);
    if jsonb_typeof(committed) <> 'array' then
        raise exception 'committed must be an array' using errcode = 'invalid_parameter_value',
            hint = 'On the copy: select jsonb_agg(to_jsonb(c)) from pglobalxact.committed_after(''…'') c;';
    end if;
    return query
    select a.server, a.set_id, a.state, a.result
    from rows from (jsonb_to_recordset(pglobalxact._request('reconcile', jsonb_build_object('manifest', manifest, 'committed', committed, 'by', session_user)))
        as (server text, set_id text, state text, result text)) with ordinality as a (server, set_id, state, result, place)
    order by a.place;
end
$$;
comment on function pglobalxact.reconcile(jsonb, jsonb) is
    'After servers were restored to a restore point: finds out which were, settles what that proves, and names what nobody can settle. A row for each server (state: restored, not restored, elsewhere, away), and one for each set of which there is something to tell. '
    'committed: the rows of committed_after(manifest), from a copy of the coordinator''s last state. Errors: 22023 not a manifest of this coordinator; 55000 this database was never at that point, or no sidecar.';
revoke all on function pglobalxact.reconcile(jsonb, jsonb) from public;
grant execute on function pglobalxact.reconcile(jsonb, jsonb) to pglobalxact_admin;
