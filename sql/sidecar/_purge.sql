-- Forgets, a small batch at a time, what is older than the retention time. Trouble that nobody acknowledged stays.
create or replace function pglobalxact._purge(batch integer default 1000)
returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    held constant record := pglobalxact._hold_back();
    horizon constant timestamptz := least(clock_timestamp() - (select c.retention from pglobalxact.coordinator c), held.before);
    purged integer;
    requests integer;
    events integer;
    fed integer;
    events_to xid8;
    decoded integer;
    last xid8;
begin
    with old as (
        select r.xid, r.nonce from pglobalxact.commit_record r
        where r.complete_at < horizon and (r.outcome = 'committed' or r.acknowledged_at < horizon)
          -- A lost node that comes back is settled by its records, however late.
          and not exists (select from pglobalxact.branch_record b join pglobalxact.node n on n.number = b.node
                          where b.xid = r.xid and b.nonce = r.nonce and b.fate = 'lost' and n.removed_at is null)
        order by r.complete_at limit batch
    ), branches as (
        delete from pglobalxact.branch_record b using old where b.xid = old.xid and b.nonce = old.nonce
    ), stamps as (
        delete from pglobalxact.set_stamp s using old where s.xid = old.xid and s.nonce = old.nonce
    ), gone as (
        delete from pglobalxact.commit_record r using old where r.xid = old.xid and r.nonce = old.nonce returning r.xid
    )
    select count(*), (array_agg(g.xid order by g.xid desc))[1] into purged, last from gone g;
    update pglobalxact.coordinator c set purged_to = last where last > c.purged_to;
    events_to := last;
    delete from pglobalxact.request q where q.id in (select o.id from pglobalxact.request o where coalesce(o.finished_at, o.taken_at) < horizon limit batch);
    get diagnostics requests = row_count;
    -- What happened to a set that is still on the books stays with it.
    with gone as (delete from pglobalxact.event e where e.id in (
        select o.id from pglobalxact.event o
        where o.at < horizon and (held.before_xid is null or o.xid < held.before_xid) and not exists (select from pglobalxact.commit_record r
            where r.outcome <> 'committed' and r.acknowledged_at is null and o.set_id = r.xid || '_' || r.nonce)
        order by o.at limit batch) returning e.xid)
    select count(*), greatest(events_to, (array_agg(g.xid order by g.xid desc))[1]) into events, events_to from gone g;
    -- From its beginning, where the oldest are.
    with gone as (
        delete from pglobalxact.set_event f using (select o.xid, o.nth, o.at from pglobalxact.set_event o order by o.xid, o.nth limit batch) o
        where f.xid = o.xid and f.nth = o.nth and o.at < horizon returning f.xid)
    select count(*), greatest(events_to, (array_agg(g.xid order by g.xid desc))[1]) into fed, events_to from gone g;
    update pglobalxact.coordinator c set events_purged_to = events_to where events_to > c.events_purged_to;
    delete from pglobalxact.decoded_event d where (d.node, d.lsn, d.kind, d.gid) in (
        select o.node, o.lsn, o.kind, o.gid from pglobalxact.decoded_event o where o.noted_at < horizon order by o.noted_at limit batch);
    get diagnostics decoded = row_count;
    delete from pglobalxact.decoded_branch d
    where pglobalxact._decoded_over(d.set_xid, d.set_nonce, d.fate)
       or d.noted_at < horizon and not exists (select from pglobalxact.commit_record r
            where r.xid = d.set_xid and r.nonce = d.set_nonce and (r.complete_at is null or r.outcome <> 'committed' and r.acknowledged_at is null));
    delete from pglobalxact.audit a where a.started_at < horizon;
    delete from pglobalxact.peer p where p.seen_at < horizon;
    return greatest(purged, requests, events, fed, decoded);
end
$$;
comment on function pglobalxact._purge(integer) is 'Internal. Deletes a batch of commit records, requests, events, what the feeds tell, and peers older than the retention time; returns how many of the kind it deleted most of.';
revoke all on function pglobalxact._purge(integer) from public;
