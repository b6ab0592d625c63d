create or replace function pglobalxact._lock_keys(purpose text)
returns oid[]
language sql immutable parallel safe
return array[pglobalxact._lock_key(purpose, 0)::oid, pglobalxact._lock_key(purpose, 1)::oid, pglobalxact._lock_key(purpose, 2)::oid, pglobalxact._lock_key(purpose, 3)::oid];
comment on function pglobalxact._lock_keys(text) is 'Internal. All classes of an advisory lock, spares included, as pg_locks shows them.';
revoke all on function pglobalxact._lock_keys(text) from public;
grant execute on function pglobalxact._lock_keys(text) to pglobalxact_user;
