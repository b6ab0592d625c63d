-- Every branch there is something to say about: decided and unfinished, in doubt on a node, mixed or unknown and not
-- acknowledged, or in flight. The one source of sets() and branches(). With ten thousand sets open it is read in milliseconds, so it is
-- joined by the parts of a gid, never by the text of one (of nonces see decided_branch), and nothing here is computed for a row or a column that its
-- reader does not want: a WITH around it all would have every column computed. "offset 0" keeps the planner from taking in_flight apart.
create or replace view pglobalxact.open_branch as
select coalesce(r.xid, s.set_xid) || '_' || coalesce(r.nonce, s.set_nonce) as set_id,
       case when r.xid is not null then r.node else s.node end as node,
       case when s.gid is not null then s.gid
            else 'pgx_' || (select c.id from pglobalxact.coordinator c) || '_' || r.xid || '_' || r.nonce || '_' || r.node end as gid,
       coalesce(r.role, f.role) as role, coalesce(r.application_name, f.application_name) as application_name,
       coalesce(r.client_addr, f.client_addr) as client_addr, coalesce(r.started_at, f.started_at, s.prepared_at, s.first_seen_at) as started_at,
       case when r.xid is null then s.state
            when r.plain or r.fate is not null then coalesce(r.fate, 'committed')
            when r.complete_at is not null then 'committed'
            else coalesce(s.state, 'prepared') end as state,
       case when r.xid is not null then 'commit' else s.decision end as decision,
       case when r.xid is not null then r.outcome when f.xid is not null then 'in progress' end as outcome,
       case when r.xid is not null then r.branch_xid else s.xid end as branch_xid, coalesce(s.owner, r.owner) as owner, s.prepared_at,
       s.locks, s.blocked, s.holds_back, coalesce(s.attempts, 0) as attempts, s.next_retry_at, s.sqlstate, s.message,
       coalesce(r.xid, s.set_xid) as xid, coalesce(r.nonce, s.set_nonce) as nonce
from pglobalxact.decided_branch r
full join (select b.* from pglobalxact.branch_status b where b.set_xid is not null) s
    on s.set_xid = r.xid and s.set_node = r.node and coalesce(s.set_nonce = r.nonce, false)
-- What is decided is not in flight: its null matches nothing.
left join (select i.*, split_part(i.set_id, '_', 2) as nonce from pglobalxact.in_flight i offset 0) f
    on f.xid = case when r.xid is null then s.set_xid end and coalesce(f.node = s.node and f.nonce = s.set_nonce, false)
-- Nobody waits for a branch that was forgotten, or has an order, while its node is away; when it is back it shows again.
where r.xid is not null
   or not (s.state = 'waiting' and (s.forgotten or exists (select from pglobalxact.forced o where o.gid = s.gid)))
union all
select coalesce(f.set_id, f.nonce), f.node, f.gid, f.role, f.application_name, f.client_addr, f.started_at,
       'open', 'undecided', 'in progress', null, null, null, null, null, null, 0, null, null, null, f.xid, f.nonce
from (select i.*, case when i.set_id is null then '(pid ' || i.pid || ')' else split_part(i.set_id, '_', 2) end as nonce,
             'pgx_' || c.id || '_' || i.set_id || '_' || i.node as gid
      from pglobalxact.in_flight i cross join pglobalxact.coordinator c offset 0) f
-- A lock that anybody can take may name a node that there is not.
where exists (select from pglobalxact.node n where n.number = f.node)
  and not exists (select from pglobalxact.branch_status s where s.gid = f.gid)
  and not exists (select from pglobalxact.decided_branch r where r.xid = f.xid and r.node = f.node and r.nonce = f.nonce);
comment on view pglobalxact.open_branch is
    'Internal. Branches of all sets that are not over: decided but unfinished, in doubt, in flight, or mixed and not acknowledged. '
    'xid and nonce are the parts of set_id; of a session that has no xid yet, xid is null and nonce names the session.';
