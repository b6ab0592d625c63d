-- The loopback is tried. What differs from this very server and database is the likeliest cause; else the install makes it anew.
create or replace function pglobalxact._doctor_loopback(install text)
returns table (key text, found boolean, severity text, place text, finding text, why text, fix text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Not "found": PL/pgSQL has a variable of its own by that name.
    trouble text;
    detail text;
begin
    begin
        if pglobalxact._on_loopback('select current_database()::text') is distinct from current_database()::text then
            trouble := 'foreign server pglobalxact_loopback leads to another database';
        end if;
    exception when others then
        get stacked diagnostics detail = pg_exception_detail;
        trouble := format('the loopback does not work: %s', regexp_replace(concat_ws(': ', sqlerrm, nullif(detail, '')), '\s+', ' ', 'g'));
    end;
    return query select 'coordinator.loopback', trouble is not null, 'error', 'coordinator', trouble,
        'without it no request reaches the sidecar, and the first set after a start of the server fails',
        coalesce((
            select format('alter server pglobalxact_loopback options (%s);', string_agg(format('%s %s %L', case when o.is_set is null then 'add' else 'set' end, o.name, o.ought), ', '))
            from pg_foreign_server s
            cross join lateral (select n.name, n.ought, (select t.option_value from pg_options_to_table(s.srvoptions) t where t.option_name = n.name) as is_set
                                from (values ('port', current_setting('port')), ('dbname', current_database()::text)) n (name, ought)) o
            where s.srvname = 'pglobalxact_loopback' and o.is_set is distinct from o.ought having count(*) > 0), install);
end
$$;
comment on function pglobalxact._doctor_loopback(text) is 'Internal. Whether the loopback connection works, for doctor().';
revoke all on function pglobalxact._doctor_loopback(text) from public;
