-- Volatile: it sees what an exec before it in the same SELECT has written.
create or replace function pglobalxact.set_id()
returns text
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$ select pglobalxact._own_set_id() $$;
comment on function pglobalxact.set_id() is
    'Id of the current transaction''s set, null before its first exec, query or enlist. Keep it before COMMIT: after a lost connection, outcome(set_id) tells what became of it.';
revoke all on function pglobalxact.set_id() from public;
grant execute on function pglobalxact.set_id() to pglobalxact_user;
