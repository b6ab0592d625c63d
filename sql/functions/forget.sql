create or replace function pglobalxact.forget(set_id text, reason text default null, confirm text default null)
returns table (set_id text, node name, now text, decision text, at_stake text, result text, confirm text)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    select r.* from pglobalxact._canonical_set($1) as named (id)
    cross join lateral pglobalxact._planned('forget', jsonb_build_object('set', named.id, 'reason', $2, 'confirm', $3),
                                            format('select * from pglobalxact.forget(%L', named.id)) r
$$;
comment on function pglobalxact.forget(text, text, text) is
    'Takes one set off the books that waits for a node that will not come back. Decides nothing: should the node come back after all, the branch is settled by the commit record. '
    'Without confirm the plan is returned, as by force_commit. Errors: 42704 unknown set; 55000 it waits for no node that is away, plan changed, or no sidecar; 22023 no reason, or not this coordinator''s.';
revoke all on function pglobalxact.forget(text, text, text) from public;
grant execute on function pglobalxact.forget(text, text, text) to pglobalxact_admin;
