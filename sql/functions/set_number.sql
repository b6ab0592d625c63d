-- A branch's number is drawn by the column's default, in the deferred trigger that prepares the set (_prepare_set): behind
-- every statement of the set, and before its commit. For two committed sets, T1 visible before T2's COMMIT ran its trigger:
--   T1's numbers were drawn before T1 was visible, T2's after, so T1's are lower.
-- Such are, wherever the two met:
--   T2 waited for a lock of T1's here     the lock is given up behind T1's commit, and T2's trigger runs behind its statements
--   T2 read what T1 wrote here            it was visible to a statement of T2's
--   the same on a node                    T1's branch is committed there after T1's local commit, as that is the decision, and
--                                         its locks are held and its rows unseen until then
--   T2 began when T1's COMMIT had been answered
-- Not such: T2 did not see T1's work although T1 had committed (an older snapshot; a node that was not told yet). Then either may have
-- the lower number, although T2 must come before T1 in any serial order. It is the order of visibility.
-- Nor is what a set does behind its trigger in any order: work behind SET CONSTRAINTS ALL IMMEDIATE, which prepares the set there and then,
-- and in deferred triggers of the user's own that come behind ours.
-- WAL has another order: commit records lie there as they were written, and become visible a moment later, not always in that order.
create or replace function pglobalxact.set_number(set_id text)
returns bigint
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    key record := pglobalxact._set_key(set_number.set_id);
begin
    return (select max(b.number) from pglobalxact.branch_record b
            where b.xid = key.xid and b.nonce = key.nonce and b.xid is distinct from pg_current_xact_id_if_assigned());
end
$$;
comment on function pglobalxact.set_number(text) is
    'The number of a committed set: lower than that of every set that waited for it, saw what it wrote, or began after its COMMIT had returned, on whatever node. '
    'Numbers have gaps. Null for a set that has not committed, or is no longer kept. Error 22023 for what is not a set id, or is another coordinator''s.';
revoke all on function pglobalxact.set_number(text) from public;
grant execute on function pglobalxact.set_number(text) to pglobalxact_user, pglobalxact_monitor;
