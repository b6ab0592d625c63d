create or replace function pglobalxact.acknowledge(set_id text, reason text)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    wanted constant text := pglobalxact._canonical_set(acknowledge.set_id);
begin
    perform pglobalxact._require_reason(reason, format('select pglobalxact.acknowledge(%L, ''repaired by hand, ticket 4711'');', wanted));
    return pglobalxact._request('acknowledge', jsonb_build_object('set', wanted, 'reason', reason, 'by', session_user)) ->> 'outcome';
end
$$;
comment on function pglobalxact.acknowledge(text, text) is
    'Takes a mixed or unknown set off the books after a person has dealt with it; recorded with reason. Returns its outcome. Errors: 42704 unknown set, 55000 not mixed or unknown.';
revoke all on function pglobalxact.acknowledge(text, text) from public;
grant execute on function pglobalxact.acknowledge(text, text) to pglobalxact_admin;
