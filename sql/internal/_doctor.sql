-- All checks, found or not: the coordinator's own, and what the sidecar answers for itself and for the nodes.
create or replace function pglobalxact._doctor()
returns table (key text, found boolean, severity text, place text, finding text, why text, fix text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    patience constant interval := coalesce(nullif(current_setting('pglobalxact.doctor_patience', true), ''), '5 minutes')::interval;
    own constant jsonb := (select jsonb_agg(c) from pglobalxact._doctor_coordinator(patience) c);
    obstacle text;
begin
    return query select c.* from jsonb_to_recordset(own) as c (key text, found boolean, severity text, place text, finding text, why text, fix text);
    select c.finding into obstacle from jsonb_to_recordset(own) as c (key text, found boolean, finding text)
    where c.found and c.key in ('coordinator.in_recovery', 'sidecar.not_running', 'sidecar.not_allowed', 'sidecar.silent', 'coordinator.dblink', 'coordinator.loopback') limit 1;
    if obstacle is null then
        begin
            return query select c.* from jsonb_to_recordset(pglobalxact._request('doctor', jsonb_build_object(
                    'patience', patience, 'owners', pglobalxact._branch_owners(), 'schema', (select max(m.id) from pglobalxact.migrations m))))
                as c (key text, found boolean, severity text, place text, finding text, why text, fix text);
        exception when others then
            obstacle := sqlerrm;
        end;
    end if;
    return query select 'sidecar.not_asked', obstacle is not null, 'warning', 'sidecar', 'the sidecar and the nodes could not be asked: what is wrong there is not known',
        obstacle, 'select * from pglobalxact.doctor(); /* again, once that is mended */';
end
$$;
comment on function pglobalxact._doctor() is 'Internal. Every check of doctor(), whether it found something or not.';
revoke all on function pglobalxact._doctor() from public;
