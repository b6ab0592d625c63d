-- What a watched node's stream brought: lines of the feed, and branches to keep here so that the slot need not. The same may come twice.
-- Returns those of the finished branches whose set is off the books.
create or replace function pglobalxact._keep_decoded(node integer, lines jsonb, branches jsonb, gids text[], fates text[])
returns setof text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pglobalxact.decoded_event (node, lsn, kind, gid, at, rows)
    select _keep_decoded.node, l.lsn, l.kind, l.gid, l.at, l.rows
    from jsonb_to_recordset(lines) as l (kind text, gid text, lsn pg_lsn, at timestamptz, rows bigint)
    on conflict on constraint decoded_event_pk do nothing;
    insert into pglobalxact.decoded_branch (gid, node, set_xid, set_nonce, xid, lsn, prepared_at, total, tables, rows, decoded_at, fate, fate_at)
    select b.gid, _keep_decoded.node, g.xid, g.nonce, b.xid, b.lsn, b.at, b.total, b.tables, b.rows, b.decoded_at, b.fate, b.fate_at
    from jsonb_to_recordset(branches) as b (gid text, xid text, lsn pg_lsn, at timestamptz, total bigint, tables jsonb, rows jsonb, decoded_at timestamptz, fate text, fate_at timestamptz)
    cross join lateral pglobalxact._parse_gid(b.gid) g
    on conflict on constraint decoded_branch_pk do update set fate = coalesce(excluded.fate, decoded_branch.fate), fate_at = coalesce(excluded.fate_at, decoded_branch.fate_at);
    update pglobalxact.decoded_branch d set fate = case l.kind when 'commit prepared' then 'committed' else 'rolled back' end, fate_at = l.at
    from jsonb_to_recordset(lines) as l (kind text, gid text, at timestamptz)
    where d.gid = l.gid and l.kind in ('commit prepared', 'rollback prepared');
    return query
    select f.gid from unnest(gids, fates) as f (gid, fate) cross join lateral pglobalxact._parse_gid(f.gid) g
    where pglobalxact._decoded_over(g.xid, g.nonce, f.fate);
end
$$;
comment on function pglobalxact._keep_decoded(integer, jsonb, jsonb, text[], text[]) is 'Internal. Keeps what was decoded on a node; returns the finished branches of sets that are off the books.';
revoke all on function pglobalxact._keep_decoded(integer, jsonb, jsonb, text[], text[]) from public;
