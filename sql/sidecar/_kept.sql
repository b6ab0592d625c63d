create or replace function pglobalxact._kept(gid text)
returns table (total bigint, tables jsonb)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select d.total, d.tables from pglobalxact.decoded_branch d where d.gid = $1
$$;
comment on function pglobalxact._kept(text) is 'Internal. How many rows a decoded branch changes, by table and operation.';
revoke all on function pglobalxact._kept(text) from public;
