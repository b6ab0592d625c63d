-- Branches of committed sets whose fate is not written down, and that somebody waits for.
create or replace function pglobalxact._unfinished()
returns table (node integer, gid text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select b.node, 'pgx_' || c.id || '_' || b.xid || '_' || b.nonce || '_' || b.node
    from pglobalxact.coordinator c cross join pglobalxact.commit_record r
    join pglobalxact.branch_record b on b.xid = r.xid and b.nonce = r.nonce
    where r.complete_at is null and not b.plain and (b.fate is null or b.fate like 'forced %')
$$;
comment on function pglobalxact._unfinished() is 'Internal. Branches of committed sets of which it is not written down that they are finished.';
revoke all on function pglobalxact._unfinished() from public;
