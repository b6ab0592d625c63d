-- What nearly every set comes to: all of its branches committed, and nothing else to tell. The sidecar calls it many times a second, and
-- neither a disk nor a standby is waited for: the decision is the record's presence, which is durable, and this says only that there is no more
-- to do. If a crash or a failover loses it, the record is open again, and the first look at the coordinator brings the set: its COMMIT PREPAREDs
-- find nothing, its branches' fates are looked up on the nodes by their xids, and it is complete anew. Until then it is kept, as open records
-- are never purged. What more there is to tell, a fate that is not "committed", goes through _finish, which waits.
create or replace function pglobalxact._complete(xids xid8[], nonces text[], ats timestamptz[])
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Who reads events may keep their place elsewhere: what they were told must not be lost, and told anew.
    if pglobalxact._event_wanted() then
        with done as (
            update pglobalxact.commit_record r set complete_at = c.at, outcome = 'committed'
            from unnest(xids, nonces, ats) as c (xid, nonce, at)
            where r.xid = c.xid and r.nonce = c.nonce and r.complete_at is null
            returning r.xid, r.nonce, r.complete_at
        )
        insert into pglobalxact.set_event (at, kind, set_id, detail) select d.complete_at, 'finished', d.xid || '_' || d.nonce, 'committed' from done d;
        notify pglobalxact_events;
        return;
    end if;
    perform set_config('synchronous_commit', 'off', true);
    update pglobalxact.commit_record r set complete_at = c.at, outcome = 'committed'
    from unnest(xids, nonces, ats) as c (xid, nonce, at)
    where r.xid = c.xid and r.nonce = c.nonce and r.complete_at is null;
end
$$;
comment on function pglobalxact._complete(xid8[], text[], timestamptz[]) is 'Internal. Sets whose branches are all committed are complete.';
revoke all on function pglobalxact._complete(xid8[], text[], timestamptz[]) from public;
