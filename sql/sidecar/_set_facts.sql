create or replace function pglobalxact._set_facts(r pglobalxact.commit_record)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return jsonb_build_object('xid', r.xid::text, 'nonce', r.nonce, 'outcome', r.outcome, 'branches', coalesce((
        select jsonb_agg(jsonb_build_object('node', b.node, 'xid', b.branch_xid::text, 'timeline', b.timeline, 'owner', b.owner, 'fate', b.fate,
                   'forced', (select f.action from pglobalxact.forced f
                              where f.gid = 'pgx_' || (select c.id from pglobalxact.coordinator c) || '_' || r.xid || '_' || r.nonce || '_' || b.node)))
        from pglobalxact.branch_record b where b.xid = r.xid and b.nonce = r.nonce and not b.plain), '[]'));
end
$$;
comment on function pglobalxact._set_facts(pglobalxact.commit_record) is 'Internal. A commit record with its branches, as the sidecar reads it.';
revoke all on function pglobalxact._set_facts(pglobalxact.commit_record) from public;
