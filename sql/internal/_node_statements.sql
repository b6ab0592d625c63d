-- Statements that each connection of a session to a node keeps prepared there: the protocol's own questions to the node, asked with
-- every step and every PREPARE, are parsed and planned once.
--   open    a branch begins: its gid and step become settings local to the remote transaction. They are gone when it is gone, so a
--           COMMIT smuggled in, or an older branch still open, shows
--   step    it is at the step that the local transaction knows, and goes on to the next
--   check   it is at that step, and what identifies it; PREPARE TRANSACTION follows in the same string
--   look    the same, without making it one that has written
--   verify  is an enlisted gid prepared, and by the program? Anyone on the node can prepare something under it, and so pass for the
--           work of a program that did not: then the xid is missing. (A superuser need not pretend.)
-- open and step also check how the node reads literals, as _bare_sql has to know: were it otherwise, a COMMIT could hide in one. The
-- whole string has been parsed by then, but nothing of it has run. Checks fail by a cast that cannot succeed; its text is not
-- constant, or the planner would try it every time.
create or replace function pglobalxact._node_statements()
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp set standard_conforming_strings = on
as $$
declare
    literals constant text := format('pg_catalog.current_setting(''standard_conforming_strings'') operator(pg_catalog.<>) ''on'' '
        'or pg_catalog.current_setting(''client_encoding'') operator(pg_catalog.<>) %L '
        'then (''pglobalxact: the settings by which the session reads SQL have been changed: '' operator(pg_catalog.||) pg_catalog.current_setting(''client_encoding''))::pg_catalog.int4::pg_catalog.text ',
        getdatabaseencoding());
    at_step constant text := 'pg_catalog.current_setting(''pglobalxact.gid'', true) operator(pg_catalog.=) $1 '
        'and pg_catalog.current_setting(''pglobalxact.step'', true) operator(pg_catalog.=) $2 ';
    elsewhere constant text := 'else (''pglobalxact: the branch is at step '' operator(pg_catalog.||) coalesce(pg_catalog.current_setting(''pglobalxact.step'', true), ''none''))::pg_catalog.int4::pg_catalog.text end';
    timeline constant text := 'pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)';
    identity constant text := format('select pg_catalog.pg_current_xact_id%%s()::pg_catalog.text, %s, current_user::pg_catalog.text, case when %s then '''' %s',
        timeline, at_step, elsewhere);
begin
    return format('prepare pglobalxact_open (pg_catalog.text) as select case when %s '
                  'when coalesce(pg_catalog.current_setting(''pglobalxact.gid'', true), '''') operator(pg_catalog.=) '''' '
                  'then pg_catalog.set_config(''pglobalxact.gid'', $1, true) operator(pg_catalog.||) pg_catalog.set_config(''pglobalxact.step'', ''1'', true) '
                  'else (''pglobalxact: an older branch is open: '' operator(pg_catalog.||) pg_catalog.current_setting(''pglobalxact.gid'', true))::pg_catalog.int4::pg_catalog.text end; ', literals)
        || format('prepare pglobalxact_step (pg_catalog.text, pg_catalog.text, pg_catalog.text) as select case when %s when %s '
                  'then pg_catalog.set_config(''pglobalxact.step'', $3, true) %s; ', literals, at_step, elsewhere)
        || format('prepare pglobalxact_check (pg_catalog.text, pg_catalog.text) as %s; ', format(identity, ''))
        || format('prepare pglobalxact_look (pg_catalog.text, pg_catalog.text) as %s; ', format(identity, '_if_assigned'))
        || format('prepare pglobalxact_verify (pg_catalog.text) as select case when pg_catalog.pg_has_role(session_user, p.ownerid, ''member'') '
                  'or (select r.rolsuper from pg_catalog.pg_roles r where r.oid operator(pg_catalog.=) p.ownerid) then p.transaction::pg_catalog.text end, '
                  '%s, pg_catalog.pg_get_userbyid(p.ownerid)::pg_catalog.text, pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text '
                  'from pg_catalog.pg_prepared_xact() p where p.gid operator(pg_catalog.=) $1 and p.dbid operator(pg_catalog.=) '
                  '(select d.oid from pg_catalog.pg_database d where d.datname operator(pg_catalog.=) pg_catalog.current_database())', timeline);
end
$$;
comment on function pglobalxact._node_statements() is 'Internal. SQL that prepares the protocol''s own statements on a connection to a node.';
revoke all on function pglobalxact._node_statements() from public;
grant execute on function pglobalxact._node_statements() to pglobalxact_user;
