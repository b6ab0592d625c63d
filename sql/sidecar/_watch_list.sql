create or replace function pglobalxact._watch_list()
returns table (node integer, publication text, all_gids boolean, max_wal bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select w.node, w.publication::text, w.all_gids, w.max_wal from pglobalxact.watch w order by w.node
$$;
comment on function pglobalxact._watch_list() is 'Internal. The watched nodes.';
revoke all on function pglobalxact._watch_list() from public;
