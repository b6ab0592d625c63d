-- What happened, from every place where it is written down. Each source gives its newest max_rows, so that a busy coordinator's
-- millions of commit records are never sorted: what a source leaves out is older than all it gives.
create or replace function pglobalxact.history(of_set text default null, since interval default '1 day', max_rows integer default 200)
returns table (at timestamptz(0), set_id text, node text, what text, who text, detail text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    wanted constant text := case when of_set is not null then pglobalxact._canonical_set(of_set) end;
    horizon constant timestamptz := case when of_set is null then clock_timestamp() - coalesce(since, interval '1 day') else '-infinity' end;
    most constant integer := coalesce(max_rows, 200);
    timed constant boolean := current_setting('track_commit_timestamp')::boolean;
begin
    if most < 0 then
        raise exception 'max_rows must not be negative' using errcode = 'invalid_parameter_value', hint = 'For example: select * from pglobalxact.history(max_rows => 1000);';
    end if;
    return query
    with chosen as (
        select r.* from pglobalxact.commit_record r join pglobalxact._parse_gid(wanted) k on k.xid = r.xid and k.nonce = r.nonce
        where wanted is not null
        union all
        (select r.* from pglobalxact.commit_record r where wanted is null and r.complete_at >= horizon order by r.complete_at desc limit most)
        union all
        (select r.* from pglobalxact.commit_record r where wanted is null and r.complete_at is null order by r.xid desc limit most)
    ), decided as (
        -- Without track_commit_timestamp the server keeps no time of a commit. A commit so old that its xid came round again has none either.
        select r.*, r.xid || '_' || r.nonce as id,
               case when timed and pg_snapshot_xmax(pg_current_snapshot())::text::numeric - r.xid::text::numeric < 2000000000
                    then pg_xact_commit_timestamp(r.xid::xid) end as committed_at
        from chosen r where r.xid is distinct from pg_current_xact_id_if_assigned()
    ), lines as (
        select d.started_at as at, 0::bigint as nth, d.id as set_id, null::integer as node, 'begun' as what, d.role::text as who,
               concat_ws(', ', nullif(d.application_name, ''), 'from ' || host(d.client_addr), 'pid ' || d.pid,
                         case when d.committed_at is null then 'committed: time not kept (track_commit_timestamp is off)' end) as detail
        from decided d
        union all
        select d.committed_at, 1, d.id, null, 'committed', d.role, 'by its local commit: this is the decision' from decided d where d.committed_at is not null
        union all
        -- "offset 0": from the few sets chosen to their branches by index, whatever the planner thinks of all branches.
        select b.finished_at, 2, d.id, b.node, b.fate, null, '' from decided d
        cross join lateral (select r.* from pglobalxact.branch_record r where r.xid = d.xid and r.nonce = d.nonce offset 0) b
        where b.fate is not null and b.finished_at is not null
        union all
        select d.complete_at, 3, d.id, null, 'complete', null, d.outcome from decided d where d.complete_at is not null
        union all
        (select e.at, 10 + e.id, e.set_id, e.node, e.kind, e.who, e.detail from pglobalxact.event e
         where e.at >= horizon and wanted is null order by e.at desc limit most)
        union all
        (select e.at, 10 + e.id, e.set_id, e.node, e.kind, e.who, e.detail from pglobalxact.event e
         where e.set_id = wanted order by e.at desc limit most)
        union all
        (select q.requested_at, 4, q.arguments ->> 'set', (select n.number from pglobalxact.node n where n.name = coalesce(q.arguments ->> 'node', q.arguments ->> 'server')),
                'asked: ' || case q.kind when 'force' then 'force_' || (q.arguments ->> 'action') else q.kind end, q.requested_by,
                concat_ws('; ', q.arguments ->> 'reason', case when q.finished_at is null then 'not answered' when q.error is not null then q.error ->> 'message' else 'done' end)
         from pglobalxact.request q
         -- Looking is no event, and neither is planning.
         where q.requested_at >= horizon and q.kind not in ('state_lines', 'check_node', 'prepared', 'doctor', 'lock_waits', 'deadlocks', 'detect_deadlocks')
           and (q.kind not in ('force', 'lose_node', 'forget') or q.arguments ->> 'confirm' is not null) and (wanted is null or q.arguments ->> 'set' = wanted)
         order by q.id desc limit most)
        union all
        select n.added_at, 5, null, n.number, 'node added', n.added_by, '' from pglobalxact.node n where wanted is null
        union all
        select n.lost_at, 6, null, n.number, 'node lost', n.lost_by, n.lost_reason from pglobalxact.node n
        where wanted is null and n.lost_at is not null
          and not exists (select from pglobalxact.event e where e.node = n.number and e.kind = 'node lost' and e.at >= n.lost_at)
    ), newest as (
        select l.* from lines l where l.at >= horizon order by l.at desc, l.nth desc limit most
    )
    select date_trunc('second', w.at)::timestamptz(0), w.set_id, n.name::text, w.what, w.who, w.detail
    from newest w left join pglobalxact.node n on n.number = w.node
    order by w.at, w.nth;
end
$$;
comment on function pglobalxact.history(text, interval, integer) is
    'What happened, the newest last: sets begun, decided and complete, attempts that failed and healed, orders of people with their reason, nodes and sidecars that came and went. '
    'Of one set: all of it; otherwise of the last day, or since. The newest max_rows lines. Errors: 22023 not a set id of this coordinator, or a negative max_rows.';
revoke all on function pglobalxact.history(text, interval, integer) from public;
grant execute on function pglobalxact.history(text, interval, integer) to pglobalxact_monitor;
