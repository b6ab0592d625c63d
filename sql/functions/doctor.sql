create or replace function pglobalxact.doctor()
returns table (severity text, place text, finding text, why text, fix text)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    with checked as (
        select c.* from pglobalxact._doctor() c
    ), rows as (
        select f.severity, f.place, f.finding, f.why, f.fix from checked f where f.found
        union all
        select 'ok', 'everywhere', 'nothing found', format('%s checks were made', (select count(*) from (select distinct c.key, c.place from checked c) d)), ''
        where not exists (select from checked f where f.found)
    )
    select r.* from rows r
    order by array_position(array['error', 'warning', 'advice', 'ok'], r.severity), r.place, r.finding
$$;
comment on function pglobalxact.doctor() is
    'What is wrong on coordinator, sidecar and nodes, the worst first: error (sets cannot work, or their atomicity is at risk), warning, advice; with the command that cures it. '
    'One row "ok" when nothing is. Changes nothing. Ages from which something is old: setting pglobalxact.doctor_patience, default 5 minutes.';
revoke all on function pglobalxact.doctor() from public;
grant execute on function pglobalxact.doctor() to pglobalxact_monitor;
