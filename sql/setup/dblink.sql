-- Takes the functions of dblink from @who@, as far as this role granted them.
do $dblink$
declare
    f record;
begin
    for f in select d.objid::regprocedure as signature from pg_depend d join pg_extension e on e.oid = d.refobjid
             where d.classid = 'pg_proc'::regclass and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and e.extname = 'dblink'
               and has_function_privilege(d.objid, 'execute with grant option') loop
        execute format('revoke all on function %s from @who@', f.signature);
    end loop;
end
$dblink$;
