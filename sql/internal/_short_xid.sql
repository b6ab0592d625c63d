create or replace function pglobalxact._short_xid(set_id text)
returns integer
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select (split_part(set_id, '_', 1)::bigint << 32 >> 32)::integer $$;
comment on function pglobalxact._short_xid(text) is 'Internal. The last 32 bits of a set''s xid, as the second key of an advisory lock.';
revoke all on function pglobalxact._short_xid(text) from public;
grant execute on function pglobalxact._short_xid(text) to pglobalxact_user;
