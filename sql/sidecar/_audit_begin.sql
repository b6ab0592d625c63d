-- What an audit is bound by, all of one snapshot: "seen", the snapshot; "until", when the last set was complete that is complete in it; and
-- the sets that are decided in it and not complete, a row for each of their branches. Every set decided in the snapshot is one of
-- these, or was complete by "until" and is found by going through those in the order in which they were completed: none is missed, though
-- sets come, and are completed, all the time. A row without a set when none is open.
create or replace function pglobalxact._audit_begin(request bigint, since timestamptz)
returns table (audit bigint, seen pg_snapshot, until text, xid xid8, nonce text, node integer, branch_xid xid8, timeline text, says text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    number bigint;
begin
    insert into pglobalxact.audit (request, asked_by, since)
    select q.id, q.requested_by, _audit_begin.since from pglobalxact.request q where q.id = _audit_begin.request
    returning id into number;
    return query
    select number, pg_current_snapshot(), u.until::text, r.xid, r.nonce, b.node, b.branch_xid, b.timeline, b.says
    from (select max(c.complete_at) as until from pglobalxact.commit_record c) u
    left join pglobalxact.commit_record r on r.complete_at is null
    left join lateral pglobalxact._audited(r.xid, r.nonce, false, r.outcome) b on true;
end
$$;
comment on function pglobalxact._audit_begin(bigint, timestamptz) is 'Internal. Enters an audit, and returns what bounds it and the sets that are open as it begins.';
revoke all on function pglobalxact._audit_begin(bigint, timestamptz) from public;
