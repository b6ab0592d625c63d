-- Runs on the loopback, so that it sees what the sidecar has just written whatever the caller's isolation level.
create or replace function pglobalxact._decoded(xid xid8, nonce text)
returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_object('number', d.node, 'node', n.name, 'gid', d.gid, 'total', d.total, 'late', d.fate = 'rolled back' and d.fate_at <= d.decoded_at,
                                                 'tables', d.tables, 'rows', d.rows,
                                                 'fate', coalesce(d.fate, b.fate)) order by n.name), '[]')::text
    from pglobalxact.decoded_branch d
    join pglobalxact.node n on n.number = d.node
    left join pglobalxact.branch_record b on b.xid = d.set_xid and b.nonce = d.set_nonce and b.node = d.node
    where d.set_xid = $1 and d.set_nonce = $2
$$;
comment on function pglobalxact._decoded(xid8, text) is 'Internal. The decoded branches of a set, with their rows.';
revoke all on function pglobalxact._decoded(xid8, text) from public;
grant execute on function pglobalxact._decoded(xid8, text) to @loopback_role@;
