-- What goes before a statement on the node, in the same round trip. The branch's gid and step are settings local to the
-- remote transaction: they are gone when it is gone, so a COMMIT smuggled in, or an older branch still open, shows.
-- How the node reads literals is checked too, as _bare_sql has to know: were it otherwise, a COMMIT could hide in one. The
-- whole string has been parsed by then, but nothing of it has run.
-- The check fails by a cast that cannot succeed; its text is not constant, or the planner would try it every time.
create or replace function pglobalxact._prologue(gid text, step integer, fresh boolean)
returns text
language sql stable
return case when fresh then
        format('begin isolation level %s; select case when pg_catalog.current_setting(''standard_conforming_strings'') <> ''on'' or pg_catalog.current_setting(''client_encoding'') <> %L '
               'then (''pglobalxact: the settings by which the session reads SQL have been changed: '' || pg_catalog.current_setting(''client_encoding''))::pg_catalog.int4::pg_catalog.text '
               'when coalesce(pg_catalog.current_setting(''pglobalxact.gid'', true), '''') = '''' '
               'then pg_catalog.set_config(''pglobalxact.gid'', %L, true) || pg_catalog.set_config(''pglobalxact.step'', ''1'', true) '
               'else (''pglobalxact: an older branch is open: '' || pg_catalog.current_setting(''pglobalxact.gid'', true))::pg_catalog.int4::pg_catalog.text end; ',
               current_setting('transaction_isolation'), getdatabaseencoding(), gid)
    else
        format('select case when pg_catalog.current_setting(''standard_conforming_strings'') <> ''on'' or pg_catalog.current_setting(''client_encoding'') <> %L '
               'then (''pglobalxact: the settings by which the session reads SQL have been changed: '' || pg_catalog.current_setting(''client_encoding''))::pg_catalog.int4::pg_catalog.text '
               'when pg_catalog.current_setting(''pglobalxact.gid'', true) = %L and pg_catalog.current_setting(''pglobalxact.step'', true) = ''%s'' '
               'then pg_catalog.set_config(''pglobalxact.step'', ''%s'', true) '
               'else (''pglobalxact: the branch is at step '' || coalesce(pg_catalog.current_setting(''pglobalxact.step'', true), ''none''))::pg_catalog.int4::pg_catalog.text end; ',
               getdatabaseencoding(), gid, step - 1, step)
    end;
comment on function pglobalxact._prologue(text, integer, boolean) is 'Internal. SQL that opens a branch on a node, or checks and counts its step.';
revoke all on function pglobalxact._prologue(text, integer, boolean) from public;
grant execute on function pglobalxact._prologue(text, integer, boolean) to pglobalxact_user;
