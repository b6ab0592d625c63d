-- What is sent to a node at the local commit, for one branch. exec: check the step, return what identifies the branch, and
-- PREPARE, in one round trip; an error in the check keeps PREPARE from running. query: the check alone, to see
-- whether the branch wrote. enlist: is the gid prepared, and by the program? Anyone on the node can prepare something under
-- it, and so pass for the work of a program that did not: then the xid is missing. (A superuser need not pretend.)
create or replace function pglobalxact._prepare_text(kind text, gid text, step integer)
returns text
language sql stable
return case when kind = 'enlist' then
        format('select case when pg_catalog.pg_has_role(session_user, p.owner, ''member'') '
               'or (select r.rolsuper from pg_catalog.pg_roles r where r.rolname = p.owner) then p.transaction::text end, pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8), p.owner::text, '
               '(pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()))::text '
               'from pg_catalog.pg_prepared_xacts p where p.gid = %L and p.database = pg_catalog.current_database()', gid)
    else
        format('select pg_catalog.pg_current_xact_id%s()::text, pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8), '
               'current_user::text, case when pg_catalog.current_setting(''pglobalxact.gid'', true) = %L '
               'and pg_catalog.current_setting(''pglobalxact.step'', true) = ''%s'' then '''' '
               'else (''pglobalxact: the branch is at step '' || coalesce(pg_catalog.current_setting(''pglobalxact.step'', true), ''none''))::pg_catalog.int4::pg_catalog.text end',
               case kind when 'query' then '_if_assigned' else '' end, gid, step)
        || case kind when 'query' then '' else format('; prepare transaction %L', gid) end
    end;
comment on function pglobalxact._prepare_text(text, text, integer) is 'Internal. SQL sent to a node to prepare a branch.';
revoke all on function pglobalxact._prepare_text(text, text, integer) from public;
