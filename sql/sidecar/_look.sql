-- Commit records that are not complete: all of them, or those that became visible since an earlier look's snapshot. A row for each
-- branch, or one without a set when there is none: made and read at every look of a busy sidecar, plain columns cost a fraction of
-- what JSON does. A snapshot returned with sets is the very one they were read with, and without sets an earlier one, so no record falls
-- between two looks. At most so many sets are read, the oldest first, and then those after the last: thousands come in portions, so that some
-- are sent on while the next are read. All portions of a look are read with one since, and the first one's snapshot is the next since: what
-- becomes visible between two portions is read with it, for the second time perhaps. With patience it is the server that looks again each millisecond until there is a set: an empty look costs
-- one index probe then, and no round trip.
create or replace function pglobalxact._look(since pg_snapshot default null, patience interval default '0', most integer default null,
                                              after_xid xid8 default null, after_nonce text default null)
returns table (snapshot pg_snapshot, requests boolean, synchronous boolean, xid xid8, nonce text, outcome text,
               node integer, branch_xid xid8, timeline text, owner name, fate text, forced text)
language plpgsql volatile rows 2
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    deadline constant timestamptz := clock_timestamp() + _look.patience;
begin
    if _look.since is null then
        -- One statement, one snapshot.
        return query
        select h.snapshot, h.requests, h.synchronous, r.xid, r.nonce, r.outcome, b.node, b.branch_xid, b.timeline, b.owner, b.fate, f.action
        from (select pg_current_snapshot() as snapshot, current_setting('synchronous_standby_names') <> '' as synchronous,
                     exists (select from pglobalxact.request q where q.finished_at is null and q.taken_at is null) as requests) h
        left join ((select c.xid, c.nonce, c.outcome from pglobalxact.commit_record c
                    where c.complete_at is null
                      and (_look.after_xid is null or c.xid >= _look.after_xid and (c.xid, c.nonce) > (_look.after_xid, _look.after_nonce))
                    order by c.xid, c.nonce limit _look.most) r
                   left join pglobalxact.branch_record b on b.xid = r.xid and b.nonce = r.nonce and not b.plain
                   left join pglobalxact.forced f
                          on f.gid = 'pgx_' || (select c.id from pglobalxact.coordinator c) || '_' || b.xid || '_' || b.nonce || '_' || b.node)
               on true;
        return;
    end if;
    loop
        if _look.patience > interval '0' then
            -- First: sets that come at the same time are found together.
            perform pg_sleep(0.001);
        end if;
        return query
        select pg_current_snapshot(), exists (select from pglobalxact.request q where q.finished_at is null and q.taken_at is null),
               current_setting('synchronous_standby_names') <> '',
               r.xid, r.nonce, r.outcome, b.node, b.branch_xid, b.timeline, b.owner, b.fate, f.action
        from (select c.xid, c.nonce, c.outcome from pglobalxact.commit_record c
              where c.complete_at is null and c.xid >= pg_snapshot_xmin(_look.since) and not pg_visible_in_snapshot(c.xid, _look.since)
                and (_look.after_xid is null or c.xid >= _look.after_xid and (c.xid, c.nonce) > (_look.after_xid, _look.after_nonce))
              order by c.xid, c.nonce limit _look.most) r
        left join pglobalxact.branch_record b on b.xid = r.xid and b.nonce = r.nonce and not b.plain
        left join pglobalxact.forced f
               on f.gid = 'pgx_' || (select c.id from pglobalxact.coordinator c) || '_' || b.xid || '_' || b.nonce || '_' || b.node;
        if found then
            return;
        end if;
        exit when clock_timestamp() >= deadline;
    end loop;
    return query
    select _look.since, exists (select from pglobalxact.request q where q.finished_at is null and q.taken_at is null),
           current_setting('synchronous_standby_names') <> '',
           null::xid8, null::text, null::text, null::integer, null::xid8, null::text, null::name, null::text, null::text;
    -- fault point: before sleep
end
$$;
comment on function pglobalxact._look(pg_snapshot, interval, integer, xid8, text) is
    'Internal. Decided sets that are not complete, a row for each branch; in every row, and in the only one when there is no set: the snapshot for the next look, whether requests wait, and whether there are synchronous standbys. Waits for sets, as long as patience says.';
revoke all on function pglobalxact._look(pg_snapshot, interval, integer, xid8, text) from public;
