create or replace function pglobalxact._observe_watch(node integer, state text, slot name, lag bigint, wal_kept bigint, held integer, message text)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into pglobalxact.watch_status (node, state, slot, lag, wal_kept, held, message)
    select $1, $2, $3, $4, $5, $6, $7 where exists (select from pglobalxact.watch w where w.node = $1)
    on conflict on constraint watch_status_pk do update
    set state = excluded.state, slot = excluded.slot, lag = excluded.lag, wal_kept = excluded.wal_kept, held = excluded.held,
        message = excluded.message, checked_at = clock_timestamp()
$$;
comment on function pglobalxact._observe_watch(integer, text, name, bigint, bigint, integer, text) is 'Internal. How a watched node''s stream stands.';
revoke all on function pglobalxact._observe_watch(integer, text, name, bigint, bigint, integer, text) from public;
