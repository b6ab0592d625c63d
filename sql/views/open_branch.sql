-- Every branch there is something to say about: decided and unfinished, in doubt on a node, mixed or unknown and not
-- acknowledged, or in flight. The one source of sets() and branches(). With ten thousand sets open it is read in milliseconds, so it is
-- joined by the parts of a gid, never by the text of one, and nothing here is computed for a row that its reader does not want.
create or replace view pglobalxact.open_branch as
with status as not materialized (
    select s.* from pglobalxact.branch_status s where s.set_xid is not null
), recorded as not materialized (
    select b.xid, b.nonce, b.node, b.plain, b.fate, b.branch_xid, b.owner,
           r.role, r.application_name, r.client_addr, r.started_at, r.outcome, r.complete_at
    from pglobalxact.commit_record r join pglobalxact.branch_record b on b.xid = r.xid and b.nonce = r.nonce
    where (r.complete_at is null or r.outcome <> 'committed' and r.acknowledged_at is null)
      and r.xid is distinct from pg_current_xact_id_if_assigned()
)
select coalesce(r.xid, s.set_xid) || '_' || coalesce(r.nonce, s.set_nonce) as set_id,
       case when r.xid is not null then r.node else s.node end as node,
       case when s.gid is not null then s.gid else 'pgx_' || c.id || '_' || r.xid || '_' || r.nonce || '_' || r.node end as gid,
       coalesce(r.role, f.role) as role, coalesce(r.application_name, f.application_name) as application_name,
       coalesce(r.client_addr, f.client_addr) as client_addr, coalesce(r.started_at, f.started_at, s.prepared_at, s.first_seen_at) as started_at,
       case when r.xid is null then s.state
            when r.plain or r.fate is not null then coalesce(r.fate, 'committed')
            when r.complete_at is not null then 'committed'
            else coalesce(s.state, 'prepared') end as state,
       case when r.xid is not null then 'commit' else s.decision end as decision,
       case when r.xid is not null then r.outcome when f.set_id is not null then 'in progress' end as outcome,
       case when r.xid is not null then r.branch_xid else s.xid end as branch_xid, coalesce(s.owner, r.owner) as owner, s.prepared_at,
       s.locks, s.blocked, s.holds_back, coalesce(s.attempts, 0) as attempts, s.next_retry_at, s.sqlstate, s.message
from recorded r
full join status s on s.set_xid = r.xid and s.set_nonce = r.nonce and s.set_node = r.node
left join pglobalxact.in_flight f on r.xid is null and f.xid = s.set_xid and f.node = s.node and f.set_id = s.set_xid || '_' || s.set_nonce
cross join pglobalxact.coordinator c
-- Nobody waits for a branch that was forgotten, or has an order, while its node is away; when it is back it shows again.
where r.xid is not null
   or not (s.state = 'waiting' and (s.forgotten or exists (select from pglobalxact.forced o where o.gid = s.gid)))
union all
select coalesce(f.set_id, '(pid ' || f.pid || ')'), f.node,
       'pgx_' || c.id || '_' || f.set_id || '_' || f.node, f.role, f.application_name, f.client_addr, f.started_at,
       'open', 'undecided', 'in progress', null, null, null, null, null, null, 0, null, null, null
from pglobalxact.in_flight f cross join pglobalxact.coordinator c
where not exists (select from pglobalxact.branch_status s where s.gid = 'pgx_' || c.id || '_' || f.set_id || '_' || f.node)
  and not exists (select from recorded r where r.xid = f.xid and r.node = f.node and r.xid || '_' || r.nonce = f.set_id);
comment on view pglobalxact.open_branch is
    'Internal. Branches of all sets that are not over: decided but unfinished, in doubt, in flight, or mixed and not acknowledged.';
