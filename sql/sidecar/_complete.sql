-- What nearly every set comes to: all of its branches committed, and nothing else to tell. The sidecar calls it many times a second.
create or replace function pglobalxact._complete(xids xid8[], nonces text[], ats timestamptz[])
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if pglobalxact._feeding() then
        with done as (
            update pglobalxact.commit_record r set complete_at = c.at, outcome = 'committed'
            from unnest(xids, nonces, ats) as c (xid, nonce, at)
            where r.xid = c.xid and r.nonce = c.nonce and r.complete_at is null
            returning r.xid, r.nonce, r.complete_at
        )
        insert into pglobalxact.feed (at, kind, set_id, detail) select d.complete_at, 'finished', d.xid || '_' || d.nonce, 'committed' from done d;
        notify pglobalxact_events;
        return;
    end if;
    update pglobalxact.commit_record r set complete_at = c.at, outcome = 'committed'
    from unnest(xids, nonces, ats) as c (xid, nonce, at)
    where r.xid = c.xid and r.nonce = c.nonce and r.complete_at is null;
end
$$;
comment on function pglobalxact._complete(xid8[], text[], timestamptz[]) is 'Internal. Sets whose branches are all committed are complete.';
revoke all on function pglobalxact._complete(xid8[], text[], timestamptz[]) from public;
