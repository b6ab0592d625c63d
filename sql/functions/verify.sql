-- The sidecar compares (sidecar/audit.ts): it is who may ask the nodes. It stops soon after the caller has stopped waiting.
create or replace function pglobalxact.verify(since timestamptz default now() - interval '1 day', batch integer default 500, pause interval default '20 milliseconds')
returns table (finding text, node text, record_says text, node_says text, branches bigint, sets bigint, first_set text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    answer jsonb;
begin
    if (batch between 1 and 10000 and pause between interval '0' and interval '1 minute') is not true then
        raise exception 'a batch is 1 to 10000 sets, and the pause behind it at most a minute' using errcode = 'invalid_parameter_value',
            hint = 'For example: select * from pglobalxact.verify(now() - interval ''1 hour'', batch => 100, pause => ''0.1 s'');';
    end if;
    answer := pglobalxact._request('verify', jsonb_build_object('since', coalesce(since, '-infinity'), 'batch', batch, 'pause', extract(epoch from pause) * 1000));
    return query
    select r.finding, r.node, r.record_says, r.node_says, r.branches, r.branches, r.first_set
    from jsonb_to_recordset(answer -> 'findings') as r (finding text, node text, record_says text, node_says text, branches bigint, first_set text)
    union all
    select 'compared', null, null, null, (answer ->> 'branches')::bigint, (answer ->> 'sets')::bigint, null;
end
$$;
comment on function pglobalxact.verify(timestamptz, integer, interval) is
    'Asks every node what became of each branch of the sets that were complete since then, or are not yet, and compares it with the commit records, while sets go on: disagrees, not proved, waits or agrees, with the number of branches. '
    'Looks only. batch sets at a time, with a pause behind each. Errors: 55000 no sidecar, or one is under way already; 22023 batch or pause.';
revoke all on function pglobalxact.verify(timestamptz, integer, interval) from public;
grant execute on function pglobalxact.verify(timestamptz, integer, interval) to pglobalxact_monitor;
