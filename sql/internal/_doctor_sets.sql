-- The books: sets that need a person, records that should be gone, and a pause that somebody may have forgotten.
create or replace function pglobalxact._doctor_sets(patience interval)
returns table (key text, found boolean, severity text, place text, finding text, why text, fix text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with slow as (
        select b.set_id, case when b.state in ('open', 'running') then 'open' when b.state = 'left alone' then b.state else 'doubt' end as kind,
               min(b.gid) as gid, min(n.name) as name, clock_timestamp() - min(b.started_at) as age, min(b.role) as role,
               string_agg(n.name || coalesce(': ' || b.message, ''), '; ' order by n.name) as nodes
        from pglobalxact.open_branch b join pglobalxact.node n on n.number = b.node
        where b.state not in ('committed', 'rolled back', 'unknown', 'lost') and b.state not like 'forced%'
        group by 1, 2
    ), old as (
        select *, count(*) over (partition by s.kind) as many, row_number() over (partition by s.kind order by s.age desc) as place
        from slow s where s.age >= patience
    )
    select 'coordinator.trouble', r.xid is not null, 'error', 'coordinator', format('set %s_%s is %s', r.xid, r.nonce, r.outcome),
           'a branch did not go the way of its set, or nobody can tell: repair the data by hand first', format('select pglobalxact.acknowledge(''%s_%s'', ''repaired by hand'');', r.xid, r.nonce)
    from (select) one left join (select c.* from pglobalxact.commit_record c where c.outcome <> 'committed' and c.acknowledged_at is null order by c.xid limit 10) r on true
    union all
    select 'coordinator.doubt', o.set_id is not null, 'warning', 'coordinator',
           format('%s set(s) unfinished, the oldest, %s, for %s (%s)', o.many, o.set_id, date_trunc('second', o.age), o.nodes),
           'its prepared branches keep their locks and hold vacuum back', format('select * from pglobalxact.retry(%L);', o.set_id)
    from (select) one left join old o on o.kind = 'doubt' and o.place = 1
    union all
    select 'coordinator.left_alone', o.set_id is not null, 'error', 'coordinator',
           format('branch %s is left alone on node %s', o.gid, o.name), 'no rule decides it (' || o.nodes || '): a person must',
           format('select * from pglobalxact.force_rollback(%L, reason => ''not ours'');', o.gid)
    from (select) one left join old o on o.kind = 'left alone' and o.place <= 10
    union all
    select 'coordinator.long_open', o.set_id is not null, 'advice', 'coordinator',
           format('%s set(s) still open, the oldest, %s of role %s, for %s', o.many, o.set_id, o.role, date_trunc('second', o.age)),
           'it keeps its locks on every node it has used', format('select * from pglobalxact.force_rollback(%L, reason => ''forgotten'');', o.set_id)
    from (select) one left join old o on o.kind = 'open' and o.place = 1
    union all
    select 'coordinator.paused', c.paused_at is not null, 'warning', 'coordinator',
           format('no set may begin: paused by %s %s ago: %s', c.paused_by, date_trunc('second', clock_timestamp() - c.paused_at), c.pause_reason),
           'programs get an error until it is over', 'select pglobalxact.resume();'
    from pglobalxact.coordinator c
    union all
    select 'coordinator.retention', c.retention < interval '1 day', 'warning', 'coordinator', format('commit records are kept for %s only', c.retention),
           'a node that is restored or fails over later brings a branch back that nobody remembers was committed',
           'update pglobalxact.coordinator set retention = ''7 days'';'
    from pglobalxact.coordinator c
    union all
    select 'coordinator.consumer_expired', e.name is not null, 'warning', 'coordinator',
           format('consumer %s of events, of role %s, expired %s ago: it had finished no batch for %s', quote_ident(e.name), quote_ident(e.role), date_trunc('second', clock_timestamp() - e.expired_at), e.keep),
           'it gets no more, and what it has missed is purged in time: whatever it fed has a gap',
           format('select pglobalxact.remove_consumer(%L); /* and if it is to begin anew: select pglobalxact.add_consumer(%L, %L, %L); */', e.name, e.name, e.role, e.keep)
    from (select) one left join (select c.* from pglobalxact.consumer c where c.expired_at is not null order by c.expired_at limit 10) e on true
    union all
    select 'coordinator.purge', r.since is not null, 'warning', 'coordinator',
           format('commit records complete since %s are not deleted', date_trunc('second', r.since)), 'the sidecar deletes what is older than the retention time: the tables only grow',
           'select pglobalxact._purge(1000000);'
    from pglobalxact.coordinator c cross join lateral (
        select min(r.complete_at) as since from pglobalxact.commit_record r
        where r.complete_at < clock_timestamp() - c.retention - interval '1 hour' and (r.outcome = 'committed' or r.acknowledged_at < clock_timestamp() - c.retention - interval '1 hour')) r
    union all
    select 'coordinator.forced', f.gid is not null, 'advice', 'coordinator',
           format('the order to %s %s stands since %s', f.action, f.gid, date_trunc('second', f.forced_at)),
           'its set is forgotten, and it would still outrank everything if the node came back', format('delete from pglobalxact.forced where gid = %L;', f.gid)
    from (select) one left join (
        select f.* from pglobalxact.forced f cross join pglobalxact.coordinator c
        where f.forced_at < clock_timestamp() - c.retention
          and not exists (select from pglobalxact._parse_gid(f.gid) g join pglobalxact.commit_record r using (xid, nonce))
        order by f.forced_at limit 10) f on true
$$;
comment on function pglobalxact._doctor_sets(interval) is 'Internal. What doctor() checks about sets, records and a pause.';
revoke all on function pglobalxact._doctor_sets(interval) from public;
