-- Asks the sidecar to decode what is prepared on a node. The slot is on the node, so this is done whatever becomes of the caller's transaction.
create or replace function pglobalxact.watch_node(server text, publication text default 'pglobalxact', all_gids boolean default false, max_wal text default '1GB')
returns table (item text, ok boolean, detail text, hint text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    bound bigint;
begin
    begin
        bound := pg_size_bytes(watch_node.max_wal);
    exception when others then
        bound := null;
    end;
    if coalesce(bound, 0) < 16777216 then
        raise exception 'max_wal "%" is no size of at least 16MB', watch_node.max_wal
            using errcode = 'invalid_parameter_value', hint = 'How much WAL the node may keep for its slot before the slot is made anew, as in ''1GB''.';
    end if;
    return query
    select r.* from jsonb_to_recordset(pglobalxact._request('watch_node', jsonb_build_object(
            'server', watch_node.server, 'publication', watch_node.publication, 'all_gids', watch_node.all_gids, 'max_wal', bound, 'by', session_user)))
        as r (item text, ok boolean, detail text, hint text);
end
$$;
comment on function pglobalxact.watch_node(text, text, boolean, text) is
    'Has the sidecar decode a node''s prepared transactions: their rows (changes, repair_sql), the feed of what becomes of them, and aborts settled within milliseconds. '
    'Needs wal_level = logical there, a publication of the tables to be seen (PostgreSQL 14 decodes all), and a login of the sidecar that may replicate. '
    'all_gids: other managers'' gids are in the feed, too. max_wal: the WAL that the node may keep for it; past that the slot is made anew. Called again, it changes these. '
    'Errors: 42704 unknown node, 22023 no size, 55000 something is missing there (the hint says what to type), or no sidecar.';
revoke all on function pglobalxact.watch_node(text, text, boolean, text) from public;
grant execute on function pglobalxact.watch_node(text, text, boolean, text) to pglobalxact_admin;
