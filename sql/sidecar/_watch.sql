create or replace function pglobalxact._watch(node integer, publication name, all_gids boolean, max_wal bigint, who name)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into pglobalxact.watch (node, publication, all_gids, max_wal, watched_by)
    values ($1, $2, $3, $4, $5)
    on conflict on constraint watch_pk do update
    set publication = excluded.publication, all_gids = excluded.all_gids, max_wal = excluded.max_wal, watched_by = excluded.watched_by,
        watched_at = clock_timestamp()
$$;
comment on function pglobalxact._watch(integer, name, boolean, bigint, name) is 'Internal. Enters a node as watched, or changes how it is.';
revoke all on function pglobalxact._watch(integer, name, boolean, bigint, name) from public;
