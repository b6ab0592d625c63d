-- The branches that commit records name: of sets decided and unfinished, or mixed or unknown and not acknowledged. The nonces are
-- compared out of the planner's sight: an xid alone almost names a set, and whoever takes both for independent expects one row of ten thousand.
create or replace view pglobalxact.decided_branch as
select b.xid, b.nonce, b.node, b.plain, b.fate, b.branch_xid, b.owner,
       r.role, r.application_name, r.client_addr, r.started_at, r.outcome, r.complete_at
from pglobalxact.commit_record r join pglobalxact.branch_record b on b.xid = r.xid and coalesce(b.nonce = r.nonce, false)
where (r.complete_at is null or r.outcome <> 'committed' and r.acknowledged_at is null)
  and r.xid is distinct from pg_current_xact_id_if_assigned();
comment on view pglobalxact.decided_branch is
    'Internal. Branches named by the commit records of sets that are unfinished, or mixed or unknown and not acknowledged.';
