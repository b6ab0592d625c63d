-- Sets that the sidecar's state files say are committed, and of which this server has no commit record. orders: by node number, what a
-- person has ordered for a branch all the same; told: it stands in history already.
create or replace function pglobalxact._unrecorded(set_ids text[])
returns table (set_id text, orders jsonb, told boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select w.id,
           (select jsonb_object_agg(g.node, f.action) from pglobalxact.forced f cross join lateral pglobalxact._parse_gid(f.gid) g
            where g.xid = k.xid and g.nonce = k.nonce),
           exists (select from pglobalxact.event e where e.set_id = w.id and e.kind = 'contradiction')
    from unnest(set_ids) as w (id)
    cross join lateral pglobalxact._parse_gid(w.id) k
    where not exists (select from pglobalxact.commit_record r where r.xid = k.xid and r.nonce = k.nonce)
$$;
comment on function pglobalxact._unrecorded(text[]) is 'Internal. Which of these sets have no commit record here, and what was ordered for their branches.';
revoke all on function pglobalxact._unrecorded(text[]) from public;
