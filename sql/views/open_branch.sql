-- Every branch there is something to say about: decided and unfinished, in doubt on a node, mixed or unknown and not
-- acknowledged, or in flight. The one source of sets() and branches().
create or replace view pglobalxact.open_branch as
with coordinator as (
    select c.id from pglobalxact.coordinator c
), recorded as (
    select r.xid, r.nonce, b.node, r.role, r.application_name, r.client_addr, r.started_at, r.outcome as set_outcome, r.complete_at,
           b.fate, b.plain, b.branch_xid, b.owner, 'pgx_' || c.id || '_' || r.xid || '_' || r.nonce || '_' || b.node as gid
    from coordinator c
    cross join pglobalxact.commit_record r
    join pglobalxact.branch_record b on b.xid = r.xid and b.nonce = r.nonce
    where (r.complete_at is null or r.outcome <> 'committed' and r.acknowledged_at is null)
      and r.xid is distinct from pg_current_xact_id_if_assigned()
)
select r.xid || '_' || r.nonce as set_id, r.node, r.gid, r.role, r.application_name, r.client_addr, r.started_at,
       case when r.plain or r.fate is not null then coalesce(r.fate, 'committed')
            when r.complete_at is not null then 'committed'
            else coalesce(s.state, 'prepared') end as state,
       'commit' as decision, r.set_outcome as outcome, r.branch_xid, coalesce(s.owner, r.owner) as owner, s.prepared_at,
       s.locks, s.blocked, s.holds_back, coalesce(s.attempts, 0) as attempts, s.next_retry_at, s.sqlstate, s.message
from recorded r left join pglobalxact.branch_status s on s.gid = r.gid
union all
select g.xid || '_' || g.nonce, s.node, s.gid, f.role, f.application_name, f.client_addr, coalesce(f.started_at, s.prepared_at, s.first_seen_at),
       s.state, s.decision, case when f.set_id is null then null else 'in progress' end, s.xid, s.owner, s.prepared_at,
       s.locks, s.blocked, s.holds_back, s.attempts, s.next_retry_at, s.sqlstate, s.message
from pglobalxact.branch_status s
cross join lateral pglobalxact._parse_gid(s.gid) g
left join pglobalxact.in_flight f on f.set_id = g.xid || '_' || g.nonce and f.node = s.node
where not exists (select from recorded r where r.gid = s.gid)
  -- Nobody waits for a branch that was forgotten, or has an order, while its node is away; when it is back it shows again.
  and not (s.state = 'waiting' and (s.forgotten or exists (select from pglobalxact.forced o where o.gid = s.gid)))
union all
select coalesce(f.set_id, '(pid ' || f.pid || ')'), f.node,
       'pgx_' || c.id || '_' || f.set_id || '_' || f.node, f.role, f.application_name, f.client_addr, f.started_at,
       'open', 'undecided', 'in progress', null, null, null, null, null, null, 0, null, null, null
from pglobalxact.in_flight f cross join coordinator c
where not exists (select from pglobalxact.branch_status s where s.gid = 'pgx_' || c.id || '_' || f.set_id || '_' || f.node)
  and not exists (select from recorded r where r.gid = 'pgx_' || c.id || '_' || f.set_id || '_' || f.node);
comment on view pglobalxact.open_branch is
    'Internal. Branches of all sets that are not over: decided but unfinished, in doubt, in flight, or mixed and not acknowledged.';
