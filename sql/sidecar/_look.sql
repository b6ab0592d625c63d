-- Commit records that are not complete: all of them, or those that became visible since an earlier look's snapshot.
-- The snapshot returned is the very one the records were read with, so no record falls between two looks.
create or replace function pglobalxact._look(since pg_snapshot default null)
returns table (snapshot pg_snapshot, sets jsonb, requests boolean, synchronous boolean)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    -- One statement, one snapshot, in either branch: a stable function sees its caller's.
    if _look.since is null then
        return query select pg_current_snapshot(),
            (select jsonb_agg(pglobalxact._set_facts(r)) from pglobalxact.commit_record r where r.complete_at is null),
            exists (select from pglobalxact.request q where q.finished_at is null and q.taken_at is null),
            current_setting('synchronous_standby_names') <> '';
    else
        return query select pg_current_snapshot(),
            (select jsonb_agg(pglobalxact._set_facts(r)) from pglobalxact.commit_record r
             where r.complete_at is null and r.xid >= pg_snapshot_xmin(_look.since) and not pg_visible_in_snapshot(r.xid, _look.since)),
            exists (select from pglobalxact.request q where q.finished_at is null and q.taken_at is null),
            current_setting('synchronous_standby_names') <> '';
    end if;
end
$$;
comment on function pglobalxact._look(pg_snapshot) is
    'Internal. Decided sets that are not complete, the snapshot they were read with, whether requests wait, and whether there are synchronous standbys.';
revoke all on function pglobalxact._look(pg_snapshot) from public;
