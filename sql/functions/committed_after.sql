-- Exact, as no set was committing when the snapshot was taken: a set that is not finished in it has committed after it.
create or replace function pglobalxact.committed_after(manifest jsonb)
returns table (set_id text, number integer, node name, branch_xid xid8, timeline text, role name, application_name text, started_at timestamptz)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    since constant pg_snapshot := pglobalxact._moment_of(manifest);
begin
    return query
    select r.xid || '_' || r.nonce, b.node, n.name, b.branch_xid, b.timeline, r.role, r.application_name, r.started_at
    from pglobalxact.commit_record r join pglobalxact.branch_record b on b.xid = r.xid and b.nonce = r.nonce and not b.plain
    left join pglobalxact.node n on n.number = b.node
    where r.xid >= pg_snapshot_xmin(since) and not pg_visible_in_snapshot(r.xid, since)
      and not exists (select from pglobalxact.forced f
                      where f.gid = format('pgx_%s_%s_%s_%s', manifest ->> 'coordinator', b.xid, b.nonce, b.node) and f.action = 'rollback')
    order by r.xid, b.node;
end
$$;
comment on function pglobalxact.committed_after(jsonb) is
    'The sets that this database has committed since a restore point was taken, a row for each branch that wrote something. Of a copy of the coordinator''s last state it tells what a coordinator restored to the point lacks: reconcile(manifest, committed) takes these rows. '
    'Errors: 22023 not a manifest, or another coordinator''s.';
revoke all on function pglobalxact.committed_after(jsonb) from public;
grant execute on function pglobalxact.committed_after(jsonb) to pglobalxact_monitor;
