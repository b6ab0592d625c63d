create or replace function pglobalxact._note_event(kind text, set_id text, node integer, detail text)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$ insert into pglobalxact.event (kind, set_id, node, detail) values (kind, set_id, node, detail); select pglobalxact._hint() $$;
comment on function pglobalxact._note_event(text, text, integer, text) is 'Internal. Writes a line of history.';
revoke all on function pglobalxact._note_event(text, text, integer, text) from public;
