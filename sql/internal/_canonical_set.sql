create or replace function pglobalxact._canonical_set(set_id text)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$ select k.xid || '_' || k.nonce from pglobalxact._set_key(set_id) k $$;
comment on function pglobalxact._canonical_set(text) is 'Internal. The set id of a set id or gid; ERROR 22023 for anything else.';
revoke all on function pglobalxact._canonical_set(text) from public;
