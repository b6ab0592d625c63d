-- Commit records that are not complete: all of them, or those that became visible since an earlier look's snapshot. A row for each
-- branch, or one without a set when there is none: made and read at every look of a busy sidecar, plain columns cost a fraction of
-- what JSON does. The snapshot returned is the very one the records were read with, so no record falls between two looks.
create or replace function pglobalxact._look(since pg_snapshot default null)
returns table (snapshot pg_snapshot, requests boolean, synchronous boolean, xid xid8, nonce text, outcome text,
               node integer, branch_xid xid8, timeline text, owner name, fate text, forced text)
language plpgsql stable rows 2
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    -- One statement, one snapshot, in either branch: a stable function sees its caller's.
    if _look.since is null then
        return query
        select h.snapshot, h.requests, h.synchronous, r.xid, r.nonce, r.outcome, b.node, b.branch_xid, b.timeline, b.owner, b.fate, f.action
        from (select pg_current_snapshot() as snapshot, current_setting('synchronous_standby_names') <> '' as synchronous,
                     exists (select from pglobalxact.request q where q.finished_at is null and q.taken_at is null) as requests) h
        left join (pglobalxact.commit_record r
                   left join pglobalxact.branch_record b on b.xid = r.xid and b.nonce = r.nonce and not b.plain
                   left join pglobalxact.forced f
                          on f.gid = 'pgx_' || (select c.id from pglobalxact.coordinator c) || '_' || b.xid || '_' || b.nonce || '_' || b.node)
               on r.complete_at is null;
    else
        return query
        select h.snapshot, h.requests, h.synchronous, r.xid, r.nonce, r.outcome, b.node, b.branch_xid, b.timeline, b.owner, b.fate, f.action
        from (select pg_current_snapshot() as snapshot, current_setting('synchronous_standby_names') <> '' as synchronous,
                     exists (select from pglobalxact.request q where q.finished_at is null and q.taken_at is null) as requests) h
        left join (pglobalxact.commit_record r
                   left join pglobalxact.branch_record b on b.xid = r.xid and b.nonce = r.nonce and not b.plain
                   left join pglobalxact.forced f
                          on f.gid = 'pgx_' || (select c.id from pglobalxact.coordinator c) || '_' || b.xid || '_' || b.nonce || '_' || b.node)
               on r.complete_at is null and r.xid >= pg_snapshot_xmin(_look.since) and not pg_visible_in_snapshot(r.xid, _look.since);
    end if;
    -- fault point: before sleep
end
$$;
comment on function pglobalxact._look(pg_snapshot) is
    'Internal. Decided sets that are not complete, a row for each branch; in every row, and in the only one when there is no set: the snapshot they were read with, whether requests wait, and whether there are synchronous standbys.';
revoke all on function pglobalxact._look(pg_snapshot) from public;
