create or replace function pglobalxact._drain_clean(passes jsonb)
returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return not exists (select from jsonb_to_recordset(passes) as p (prepared integer, left_alone integer, ended integer, result text)
                       where p.result = 'ok' and (p.prepared > p.left_alone or p.ended > 0) or p.result like 'the coordinator did not answer%');
end
$$;
comment on function pglobalxact._drain_clean(jsonb) is 'Internal. True when a recover() found no branch of ours prepared and no remote session left on any node that answers.';
revoke all on function pglobalxact._drain_clean(jsonb) from public;
