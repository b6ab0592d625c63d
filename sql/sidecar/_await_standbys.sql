-- Writes something and commits it, so that this commit waits for the synchronous standbys as every commit of the sidecar does: when it
-- returns, they have all that was visible before it.
create or replace function pglobalxact._await_standbys()
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$ select pg_logical_emit_message(true, 'pglobalxact', '') $$;
comment on function pglobalxact._await_standbys() is 'Internal. Returns when the synchronous standbys have what is visible now.';
revoke all on function pglobalxact._await_standbys() from public;
