create or replace function pglobalxact._unwatch(node integer)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    delete from pglobalxact.watch w where w.node = _unwatch.node
$$;
comment on function pglobalxact._unwatch(integer) is 'Internal. A node is not watched any more; what was decoded of it stays for its time.';
revoke all on function pglobalxact._unwatch(integer) from public;
