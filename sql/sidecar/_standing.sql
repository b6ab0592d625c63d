-- How a set stands, for a force: running (and in which session), committed (its commit record is visible), rolled back
-- (finished without one), lost, or a stranger's.
create or replace function pglobalxact._standing(set_id text)
returns table (standing text, pid integer)
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select case
        when exists (select from pglobalxact.commit_record r where r.xid = k.xid and r.nonce = k.nonce) then 'committed'
        else (select case d.verdict when 'rollback' then 'rolled back' else d.verdict end
              from pglobalxact._decide(999999999, array['pgx_' || c.id || '_' || k.xid || '_' || k.nonce || '_999999999'], array['0']) d) end,
        (select f.pid from pglobalxact.in_flight f where f.set_id = k.xid || '_' || k.nonce limit 1)
    from pglobalxact._parse_gid(_standing.set_id) k cross join pglobalxact.coordinator c
$$;
comment on function pglobalxact._standing(text) is 'Internal. committed, rolled back, running, lost or stranger, and the session of a running set.';
revoke all on function pglobalxact._standing(text) from public;
