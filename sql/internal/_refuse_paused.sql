-- A pause is in effect from the commit of coordinator.paused_at to the commit of its becoming null again; the row alone
-- decides. But a REPEATABLE READ transaction that is older than the pause does not see the row. So there is a switch beside
-- it: a sequence has no versions, whoever reads it reads what it holds at that moment. It is on before the row is
-- committed, and off only after the row has been committed as null: a crash may leave it on for nothing, never off in a pause.
--
--   set                                    pause, drain
--   S1  its in-flight lock is granted      P1  the switch is turned on
--   S2  it reads the switch                P2  the row is committed; pause() returns
--   S3  is it on: it reads the row,        P3  drain() looks for in-flight locks,
--       in a new snapshot                  P4  then for commit records, in a later snapshot
--
-- A set that goes on past S2 read "off" before P1; one that goes on past S3 read the row before P2 (or after the pause).
-- Either way S1 was before P3: drain sees its lock, or finds it gone. A lock is given up only after the commit is visible,
-- so if it is gone at P3, P4 sees the commit record. Were S2 before S1, a set could read "off", be passed by P1 to P4, and
-- begin unseen; were P4 before P3, it could commit between the two and be seen by neither.
--
-- (A mark counts in pglobalxact.in_flight only beside a lock on commit_record: _open_branch has that one before S1.)
--
-- Called by S2 when the switch is on: raises, unless the row says that nothing is paused.
create or replace function pglobalxact._refuse_paused()
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    -- From outside, where this transaction's snapshot may be older than the pause, or than its end.
    pause constant jsonb := case when current_setting('transaction_isolation') in ('read committed', 'read uncommitted')
        then pglobalxact._pause_facts() else pglobalxact._on_loopback('select pglobalxact._pause_facts()') end;
begin
    if pause is not null then
        raise exception 'pglobalxact is paused since %: % (by %)',
            date_trunc('second', (pause ->> 'since')::timestamptz), pause ->> 'reason', pause ->> 'by'
            using errcode = 'object_not_in_prerequisite_state',
                  detail = 'No new set may begin; sets that are open go on to their end.',
                  hint = 'Run the transaction again later. To end the pause: select pglobalxact.resume();';
    end if;
end
$$;
comment on function pglobalxact._refuse_paused() is 'Internal. ERROR 55000 while pglobalxact is paused.';
revoke all on function pglobalxact._refuse_paused() from public;
