-- The decision rule. The caller read P, the branches prepared on one node, BEFORE calling; this one statement reads, for each:
--   R  the commit record is visible and names this branch on this node (same xid there): it must be committed
--   F  its local transaction is finished. Read in the same snapshot as R: finished and no record means it never commits
-- P before R and F is what makes it safe: a branch in P was prepared, so its local transaction had written its record
-- row, before this snapshot was taken; if F holds in it, R tells for good.
-- F without the snapshot: the set id's nonce names an earlier start of this very server on the same time line (every
-- transaction of it is over), or its xid has been taken back by a crash (no running transaction has it).
-- A set as old as those whose records were purged may have been one of them: a node restored from an old backup brings its branch back.
-- A nonce that matches no start of this server is not ours to decide, whatever the xid says.
create or replace function pglobalxact._decide(node integer, gids text[], xids text[])
returns table (gid text, verdict text, reason text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    own constant text := (select c.id from pglobalxact.coordinator c);
    here text; -- the time line
    purged_to constant xid8 := (select c.purged_to from pglobalxact.coordinator c);
begin
    if pg_is_in_recovery() then
        raise exception 'no decision is read from a server in recovery' using errcode = 'object_not_in_prerequisite_state';
    end if;
    here := left(pg_walfile_name(pg_current_wal_lsn()), 8);
    return query
    select p.gid, d.verdict, case d.verdict
        when 'foreign' then 'not a gid of this coordinator'
        when 'misplaced' then format('the gid names node %s: this is a copy of that node, or the branch was prepared on the wrong node', g.node)
        when 'stranger' then 'no transaction of this database made it: a copy of the coordinator did, or someone by hand'
        when 'purged' then 'commit records as old as it are not kept any more: it may have committed'
        when 'lost' then 'its local transaction ran on a time line that this server has left'
        when 'running' then 'its local transaction is still running'
        when 'commit' then case when f.gid is null then 'its local transaction committed' else format('forced by %s: %s', f.forced_by, f.reason) end
        when 'rollback' then case
            when f.gid is not null then format('forced by %s: %s', f.forced_by, f.reason)
            when s.timeline = here then 'its local transaction did not commit'
            else 'its local transaction had not committed when this server took over: if it did so later, replication lost it' end
        end
    from unnest(gids, xids) as p (gid, xid)
    left join pglobalxact._parse_gid(p.gid) g on true
    left join pglobalxact.commit_record r on r.xid = g.xid and r.nonce = g.nonce
    left join pglobalxact.branch_record b on b.xid = g.xid and b.nonce = g.nonce and b.node = g.node and r.xid is not null
    left join pglobalxact.forced f on f.gid = p.gid
    -- As _own_start, written out: a call per branch takes longer than all the rest. Where there is a record nobody asks.
    left join lateral (
        select o as start, o.started_at, o.timeline from pglobalxact.server_start o
        where b.xid is null and pglobalxact._nonce(own, g.xid, o.started_at) = g.nonce
        order by o.started_at desc limit 1) s on true
    cross join lateral (select case
        when g.coordinator is distinct from own then 'foreign'
        when g.node <> _decide.node then 'misplaced'
        when f.gid is not null then f.action
        when b.xid is not null and not b.plain and (b.branch_xid is null or (b.branch_xid::text::numeric % 4294967296)::text = p.xid) then 'commit'
        when b.xid is not null or s.started_at is null then 'stranger'
        when s.timeline = here then case
            when s.started_at <> pg_postmaster_start_time()
              or pg_visible_in_snapshot(g.xid, pg_current_snapshot())
              or pglobalxact._xid_state(g.xid) = 'future' then 'rollback'
            else 'running' end
        when pg_visible_in_snapshot(g.xid, pg_current_snapshot()) and not pglobalxact._left_behind(g.xid, s.start) then 'rollback'
        else 'lost' end as by_rule) v
    cross join lateral (select case when v.by_rule = 'rollback' and f.gid is null and g.xid <= purged_to then 'purged'
                                    else v.by_rule end as verdict) d;
end
$$;
comment on function pglobalxact._decide(integer, text[], text[]) is
    'Internal. Verdict for branches seen prepared on a node: commit, rollback, running, or one that is left alone (lost, purged, stranger, misplaced, foreign).';
revoke all on function pglobalxact._decide(integer, text[], text[]) from public;
