-- The loopback is tried. What differs from this very server and database is the likeliest cause; else the install makes it anew.
create or replace function pglobalxact._doctor_loopback(install text)
returns table (key text, found boolean, severity text, place text, finding text, why text, fix text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    key := 'coordinator.loopback';
    severity := 'error';
    place := 'coordinator';
    why := 'without it no request reaches the sidecar, and the first set after a start of the server fails';
    begin
        found := pglobalxact._on_loopback('select current_database()::text') is distinct from current_database();
        finding := 'foreign server pglobalxact_loopback leads to another database';
    exception when others then
        found := true;
        finding := format('the loopback does not work: %s', regexp_replace(sqlerrm, '\s+', ' ', 'g'));
    end;
    fix := coalesce((
        select format('alter server pglobalxact_loopback options (%s);', string_agg(format('%s %s %L', case when o.is is null then 'add' else 'set' end, o.name, o.ought), ', '))
        from pg_foreign_server s
        cross join lateral (select n.name, n.ought, (select t.option_value from pg_options_to_table(s.srvoptions) t where t.option_name = n.name) as is
                            from (values ('port', current_setting('port')), ('dbname', current_database()::text)) n (name, ought)) o
        where s.srvname = 'pglobalxact_loopback' and o.is is distinct from o.ought), install);
    return next;
end
$$;
comment on function pglobalxact._doctor_loopback(text) is 'Internal. Whether the loopback connection works, for doctor().';
revoke all on function pglobalxact._doctor_loopback(text) from public;
