-- Everything that can be checked without the sidecar.
create or replace function pglobalxact._doctor_coordinator(patience interval)
returns table (key text, found boolean, severity text, place text, finding text, why text, fix text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    install constant text := format('PGHOST=127.0.0.1 PGPORT=%s PGDATABASE=%s PGUSER=%s npx pglobalxact install', current_setting('port'),
        pglobalxact._shell_word(current_database()::text), pglobalxact._shell_word((select r.rolname::text from pg_roles r where r.oid = 10)));
    start constant text := format('PGHOST=127.0.0.1 PGPORT=%s PGDATABASE=%s PGUSER=pglobalxact npx pglobalxact run --state-dir %s', current_setting('port'),
        pglobalxact._shell_word(current_database()::text), pglobalxact._shell_word(coalesce((select s.state_directory from pglobalxact.sidecar s), '/var/lib/pglobalxact')));
begin
    return query select * from pglobalxact._doctor_server(patience);
    return query select * from pglobalxact._doctor_install(install);
    return query select * from pglobalxact._doctor_loopback(install);
    return query select * from pglobalxact._doctor_sets(patience);
    return query select * from pglobalxact._doctor_nodes();
    return query select * from pglobalxact._doctor_sidecar(start);
end
$$;
comment on function pglobalxact._doctor_coordinator(interval) is 'Internal. The part of doctor() that needs no sidecar: one row per check at least, found or not.';
revoke all on function pglobalxact._doctor_coordinator(interval) from public;
