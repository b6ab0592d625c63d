-- The next sets of an audit in the order in which they were completed, a row for each branch; whether there are any, and whether anybody
-- still waits for the answer. The bounds are those of _audit_begin.
create or replace function pglobalxact._audit_batch(
    audit bigint, since timestamptz, seen pg_snapshot, until timestamptz, after timestamptz, after_xid xid8, batch integer)
returns table (waited boolean, complete_at text, xid xid8, nonce text, node integer, branch_xid xid8, timeline text, says text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select w.waited, r.complete_at::text, r.xid, r.nonce, b.node, b.branch_xid, b.timeline, b.says
    from (select exists (select from pglobalxact.audit a join pglobalxact.request q on q.id = a.request
                         join pg_stat_activity s on s.pid = q.waiter and s.usename = '@loopback_role@' where a.id = audit) as waited) w
    left join lateral (
        select c.* from pglobalxact.commit_record c
        where w.waited and c.complete_at >= coalesce(after, since) and c.complete_at <= until
          and (after is null or (c.complete_at, c.xid) > (after, after_xid)) and pg_visible_in_snapshot(c.xid, seen)
        order by c.complete_at, c.xid limit batch) r on true
    left join lateral pglobalxact._audited(r.xid, r.nonce, true, r.outcome) b on true
    order by r.complete_at, r.xid
$$;
comment on function pglobalxact._audit_batch(bigint, timestamptz, pg_snapshot, timestamptz, timestamptz, xid8, integer) is
    'Internal. A batch of the complete sets that an audit goes through, and whether it is still waited for.';
revoke all on function pglobalxact._audit_batch(bigint, timestamptz, pg_snapshot, timestamptz, timestamptz, xid8, integer) from public;
