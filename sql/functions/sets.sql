-- Every set that is not over, the worst first.
create or replace function pglobalxact.sets()
returns table (set_id text, phase text, outcome text, age interval, nodes integer, prepared integer, finished integer, blocked integer,
               role name, application text, client inet, attempts integer, next_retry interval, last_error text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
-- Ten thousand open sets must not be sorted on disk.
set work_mem = '32MB'
as $$
#variable_conflict use_column
declare
    moment constant timestamptz := clock_timestamp();
    -- By number: with a join the planner would no longer know how many branches there are.
    names constant name[] := array(select n.name from generate_series(1, (select max(m.number) from pglobalxact.node m)) i
                                   left join pglobalxact.node n on n.number = i order by i);
    -- Errors of several nodes, and what went astray, are put in order, which is dear: only where there are any.
    at_length constant boolean := (select count(*) > 1 from (select from pglobalxact.branch_status s where s.message is not null group by s.node) troubled)
        or exists (select from pglobalxact.commit_record r where r.outcome <> 'committed' and r.acknowledged_at is null);
begin
    return query
    select coalesce(s.xid || '_', '') || s.nonce,
           case when s.outcome in ('mixed', 'unknown') then 'incomplete'
                when s.decided and (s.troubled or s.finished > 0) then 'incomplete'
                when s.decided then 'commit'
                when s.only_open then 'begin'
                when s.left_alone then 'incomplete'
                when s.to_roll_back and s.troubled then 'incomplete'
                when s.to_roll_back then 'rollback'
                else 'prepare' end,
           case when s.outcome in ('mixed', 'unknown') then s.outcome
                when s.decided and s.rolled_back then 'mixed'
                when s.decided then 'committed'
                when s.outcome = 'in progress' then s.outcome
                when s.to_roll_back then 'rolled back'
                else 'unknown' end,
           date_trunc('second', greatest(moment - s.started_at, interval '0')),
           s.nodes, s.prepared, s.finished, s.blocked, s.role, s.application, s.client, s.attempts,
           case when s.next_retry_at is not null then date_trunc('second', greatest(s.next_retry_at - moment, interval '0')) end,
           coalesce(s.errors, names[s.complaining] || ': ' || s.message, s.astray)
    from (
        select m.*, t.troubled, l.errors, l.astray, case when m.outcome = 'mixed' then 0 when m.outcome = 'unknown' then 1 when t.troubled then 2
                                  when m.outcome = 'in progress' then 4 else 3 end as rank
        from (
            select b.xid, b.nonce, bool_or(b.decision = 'commit') as decided, min(b.outcome) as outcome, min(b.started_at) as started_at,
                   count(*)::integer as nodes,
                   count(*) filter (where b.state in ('prepared', 'retry', 'running', 'waiting', 'left alone'))::integer as prepared,
                   count(*) filter (where b.state in ('committed', 'rolled back', 'unknown'))::integer as finished,
                   bool_or(b.state in ('rolled back', 'forced rollback')) as rolled_back,
                   sum(b.blocked)::integer as blocked, max(b.attempts) as attempts, min(b.next_retry_at) as next_retry_at,
                   min(b.node) filter (where b.message is not null) as complaining, min(b.message) as message,
                   bool_or(b.decision = 'rollback') as to_roll_back, bool_and(b.state = 'open') as only_open,
                   bool_or(b.state = 'left alone') as left_alone,
                   min(b.role::text)::name as role, min(b.application_name) as application, min(b.client_addr) as client
            from pglobalxact.open_branch b
            group by b.xid, b.nonce
        ) m
        left join (
            select b.xid, b.nonce, string_agg(names[b.node] || ': ' || b.message, '; ' order by names[b.node] || ': ' || b.message) as errors,
                   string_agg(names[b.node] || ': ' || b.state, '; ' order by names[b.node] || ': ' || b.state)
                       filter (where b.outcome in ('mixed', 'unknown') and b.state not in ('committed', 'prepared')) as astray
            from pglobalxact.open_branch b where at_length and (b.message is not null or b.outcome in ('mixed', 'unknown'))
            group by b.xid, b.nonce) l on l.xid = m.xid and l.nonce = m.nonce
        cross join lateral (select coalesce(l.errors, m.message) is not null as troubled) t
    ) s
    order by s.rank, s.started_at;
    -- Branches of other coordinators, for which this database is a node: to be seen here, decided there.
    return query
    select f.set_id, 'prepare', 'unknown', date_trunc('second', greatest(moment - f.prepared_at, interval '0')),
           1, 1, 0, 0, f.owner, null::text, null::inet, 0, null::interval,
           format('branch of coordinator %s: ask there (%s): select * from pglobalxact.sets()', f.coordinator, f.where_to_ask)
    from pglobalxact.foreign_branch f
    order by f.prepared_at;
end
$$;
comment on function pglobalxact.sets() is
    'Every set that is not over, the worst first: in doubt, decided but unfinished on some node, mixed or unknown and not acknowledged, in flight; '
    'last, branches of other coordinators that are prepared in this database. '
    'age since its local transaction began; prepared and finished count its branches, blocked the sessions on all nodes that wait for its locks (null: not looked yet); '
    'role, application and client tell who began it; last_error in the node''s words; of a mixed or unknown set, what became of the branches that are not committed.';
revoke all on function pglobalxact.sets() from public;
grant execute on function pglobalxact.sets() to pglobalxact_monitor;
