-- A person's order, durable before it is carried out.
create or replace function pglobalxact._record_forced(gids text[], action text, forced_by name, reason text, accept_mixed boolean)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pglobalxact.forced as f (gid, action, forced_by, reason, accept_mixed)
    select g.gid, _record_forced.action, _record_forced.forced_by, _record_forced.reason, _record_forced.accept_mixed from unnest(gids) as g (gid)
    on conflict (gid) do update set action = excluded.action, forced_by = excluded.forced_by, forced_at = clock_timestamp(),
        reason = excluded.reason, accept_mixed = excluded.accept_mixed;
    insert into pglobalxact.event (kind, set_id, node, who, detail)
    select 'forced ' || _record_forced.action, k.xid || '_' || k.nonce, k.node, _record_forced.forced_by, _record_forced.reason
    from unnest(gids) as g (gid) cross join lateral pglobalxact._parse_gid(g.gid) k;
end
$$;
comment on function pglobalxact._record_forced(text[], text, name, text, boolean) is 'Internal. Records a forced decision for branches.';
revoke all on function pglobalxact._record_forced(text[], text, name, text, boolean) from public;
