-- Books as no run would leave them in so short a time: sets in every state, branches seen and unseen, with and without trouble.
-- "plain_…" are the definitions of what the reads say, joined by the text of gids: slow, and hard to get wrong.
create function fill(sets int, trouble float8) returns void language plpgsql as $$
begin
    delete from pglobalxact.branch_status; delete from pglobalxact.branch_record; delete from pglobalxact.commit_record; delete from pglobalxact.forced;
    insert into pglobalxact.commit_record (xid, nonce, started_at, role, application_name, client_addr, complete_at, outcome, acknowledged_at)
    select (1000 + i)::text::xid8, substr(md5(i::text), 1, 8), now() - random() * interval '2 days', case when random() < 0.5 then 'app' else 'dba' end,
           case when random() < 0.5 then 'shop' else '' end, case when random() < 0.5 then '10.0.0.1'::inet end, case when k > 0.5 then now() end,
           case when k > 0.5 then case when k < 0.7 then 'committed' when k < 0.85 then 'unknown' else 'mixed' end end,
           case when k > 0.95 then now() end
    from (select i, random() as k from generate_series(1, sets) i) one;
    -- The same xid under another nonce: a twin's, or from a time line that was lost.
    insert into pglobalxact.commit_record (xid, nonce, started_at, role, application_name)
    select r.xid, substr(md5(r.nonce), 1, 8), now() - random() * interval '1 day', 'app', 'twin' from pglobalxact.commit_record r where random() < 0.1;
    insert into pglobalxact.branch_record (xid, nonce, node, kind, plain, branch_xid, owner, fate, finished_at)
    select b.xid, b.nonce, b.number, 'exec', random() < 0.1, '77', 'owner', b.fate, case when b.fate is not null then now() - random() * interval '1 day' end
    from (select r.xid, r.nonce, n.number,
                 (array['committed', 'committed', 'rolled back', 'unknown', 'lost', 'forced commit', 'forced rollback'])[ceil(random() * 14)::int] as fate
          from pglobalxact.commit_record r cross join pglobalxact.node n where n.number = 1 or random() < 0.7) b;
    insert into pglobalxact.branch_status (gid, node, state, decision, prepared_at, owner, attempts, next_retry_at, message, first_seen_at,
                                           blocked, forgotten, set_xid, set_nonce, set_node)
    select 'pgx_' || c.id || '_' || s.xid || '_' || s.nonce || '_' || n.number, n.number,
           (array['prepared', 'retry', 'running', 'waiting', 'waiting', 'left alone'])[ceil(random() * 6)::int],
           (array['commit', 'rollback', 'undecided', 'unknown'])[ceil(random() * 4)::int], case when random() < 0.7 then now() - random() * interval '3 days' end,
           'owner', floor(random() * 5)::int, case when random() < 0.5 then now() + interval '1 hour' end,
           case when random() < trouble then 'trouble ' || ceil(random() * 9) end, now() - random() * interval '1 day',
           case when random() < 0.5 then floor(random() * 3)::int end, random() < 0.3, s.xid::xid8, s.nonce, n.number
    from (select r.xid::text, r.nonce from pglobalxact.commit_record r
          union all select (5000 + i)::text, substr(md5(i::text), 1, 8) from generate_series(1, sets / 3) i) s
    cross join pglobalxact.node n cross join pglobalxact.coordinator c where random() < 0.6;
    insert into pglobalxact.branch_status (gid, node, state, decision) values ('of another form', 1, 'prepared', 'unknown');
    insert into pglobalxact.forced (gid, action, forced_by, reason) select s.gid, 'commit', 'dba', 'test' from pglobalxact.branch_status s where random() < 0.1;
end
$$;

create view plain_branches as
with recorded as (
    select 'pgx_' || c.id || '_' || r.xid || '_' || r.nonce || '_' || b.node as gid, r.xid || '_' || r.nonce as set_id, b.node as on_node, b.fate, b.plain, r.outcome as result, r.complete_at
    from pglobalxact.coordinator c cross join pglobalxact.commit_record r join pglobalxact.branch_record b using (xid, nonce)
    where r.complete_at is null or r.outcome <> 'committed' and r.acknowledged_at is null
)
select coalesce(r.set_id, s.set_xid || '_' || s.set_nonce) as set_id, n.name as node,
       case when r.gid is null then s.state when r.fate is not null then r.fate when r.plain or r.complete_at is not null then 'committed' else coalesce(s.state, 'prepared') end as state,
       case when r.gid is null then s.decision else 'commit' end as decision, s.blocked, coalesce(s.attempts, 0) as attempts, s.message as last_error, gid,
       r.result, s.next_retry_at, case when r.gid is null then coalesce(s.prepared_at, s.first_seen_at) end as seen_at
from recorded r full join (select * from pglobalxact.branch_status where gid like 'pgx\_%') s using (gid)
join pglobalxact.node n on n.number = coalesce(r.on_node, s.node)
where r.gid is not null or s.state <> 'waiting' or not (s.forgotten or gid in (select f.gid from pglobalxact.forced f));

create view plain_sets as
with one as (
    select b.set_id, bool_or(b.decision = 'commit') as decided, min(b.result) as result, count(*)::int as nodes,
           count(*) filter (where b.state in ('prepared', 'retry', 'running', 'waiting', 'left alone'))::int as prepared,
           count(*) filter (where b.state in ('committed', 'rolled back', 'unknown'))::int as finished, bool_or(b.state in ('rolled back', 'forced rollback')) as rolled_back,
           sum(b.blocked)::int as blocked, max(b.attempts) as attempts, bool_or(b.next_retry_at is not null) as retried,
           string_agg(b.node || ': ' || b.last_error, '; ' order by b.node || ': ' || b.last_error) as errors,
           string_agg(b.node || ': ' || b.state, '; ' order by b.node || ': ' || b.state) filter (where b.result in ('mixed', 'unknown') and b.state not in ('committed', 'prepared')) as astray,
           bool_or(b.decision = 'rollback') as to_roll_back, bool_or(b.state = 'left alone') as left_alone, min(b.seen_at) as seen_at
    from plain_branches b group by b.set_id
)
select o.set_id,
       case when o.result in ('mixed', 'unknown') then 'incomplete' when o.decided then case when o.errors is not null or o.finished > 0 then 'incomplete' else 'commit' end
            when o.left_alone then 'incomplete' when o.to_roll_back then case when o.errors is not null then 'incomplete' else 'rollback' end else 'prepare' end as phase,
       case when o.result in ('mixed', 'unknown') then o.result when o.decided then case when o.rolled_back then 'mixed' else 'committed' end
            when o.to_roll_back then 'rolled back' else 'unknown' end as outcome,
       o.nodes, o.prepared, o.finished, o.blocked, r.role, r.application_name as application, r.client_addr as client, o.attempts, o.retried, coalesce(o.errors, o.astray) as last_error,
       row_number() over (order by case when o.result = 'mixed' then 0 when o.result = 'unknown' then 1 when o.errors is not null then 2 else 3 end,
                                   least(r.started_at, o.seen_at))::int as place
from one o left join pglobalxact.commit_record r on r.xid || '_' || r.nonce = o.set_id and (r.complete_at is null or o.result is not null);
