create or replace function pglobalxact._set_progress(set_id text)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return (select case when r.complete_at is null then 'open' else r.outcome end
    from pglobalxact._set_key(_set_progress.set_id) k
    join pglobalxact.commit_record r on r.xid = k.xid and r.nonce = k.nonce);
end
$$;
comment on function pglobalxact._set_progress(text) is 'Internal. "open" while a committed set is not finished on all nodes, then its outcome; null for an unknown set.';
revoke all on function pglobalxact._set_progress(text) from public;
grant execute on function pglobalxact._set_progress(text) to @loopback_role@;
