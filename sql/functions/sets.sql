-- Every set that is not over, the worst first.
create or replace function pglobalxact.sets()
returns table (set_id text, phase text, outcome text, age interval, nodes integer, prepared integer, finished integer, blocked integer,
               role name, application text, client inet, attempts integer, next_retry interval, last_error text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
-- Ten thousand open sets must not be sorted on disk.
set work_mem = '32MB'
as $$
    with summary as (
        select b.set_id, bool_or(b.decision = 'commit') as decided, min(b.outcome) as outcome, min(b.started_at) as started_at,
               count(*)::integer as nodes,
               count(*) filter (where b.state in ('prepared', 'retry', 'running', 'waiting', 'left alone'))::integer as prepared,
               count(*) filter (where b.state in ('committed', 'rolled back', 'unknown'))::integer as finished,
               count(*) filter (where b.state in ('rolled back', 'forced rollback')) as rolled_back,
               sum(b.blocked)::integer as blocked, min(b.role) as role, min(b.application_name) as application, min(b.client_addr) as client,
               max(b.attempts) as attempts, min(b.next_retry_at) as next_retry_at,
               -- In no order yet: to sort within each of thousands of sets takes longer than all the rest.
               array_agg(n.name || ': ' || b.message) filter (where b.message is not null) as errors,
               array_agg(n.name || ': ' || b.state) filter (where b.state not in ('committed', 'prepared') and b.outcome in ('mixed', 'unknown')) as astray,
               bool_or(b.decision = 'rollback') as to_roll_back, bool_and(b.state = 'open') as only_open,
               bool_or(b.state = 'left alone') as left_alone
        from pglobalxact.open_branch b join pglobalxact.node n on n.number = b.node
        group by b.set_id
    ), told as (
        select m.*, case when cardinality(m.errors) = 1 then m.errors[1] else (select string_agg(e, '; ' order by e) from unnest(m.errors) e) end as last_error
        from summary m
    )
    select s.set_id,
           case when s.outcome in ('mixed', 'unknown') then 'incomplete'
                when s.decided and (s.last_error is not null or s.finished > 0) then 'incomplete'
                when s.decided then 'commit'
                when s.only_open then 'begin'
                when s.left_alone then 'incomplete'
                when s.to_roll_back and s.last_error is not null then 'incomplete'
                when s.to_roll_back then 'rollback'
                else 'prepare' end,
           case when s.outcome in ('mixed', 'unknown') then s.outcome
                when s.decided and s.rolled_back > 0 then 'mixed'
                when s.decided then 'committed'
                when s.outcome = 'in progress' then s.outcome
                when s.to_roll_back then 'rolled back'
                else 'unknown' end as outcome,
           date_trunc('second', greatest(clock_timestamp() - s.started_at, interval '0')), s.nodes, s.prepared, s.finished, s.blocked, s.role, s.application, s.client, s.attempts,
           case when s.next_retry_at is not null then date_trunc('second', greatest(s.next_retry_at - clock_timestamp(), interval '0')) end,
           coalesce(s.last_error, (select string_agg(a, '; ' order by a) from unnest(s.astray) a))
    from (
        select s.*, case when s.outcome = 'mixed' then 0 when s.outcome = 'unknown' then 1 when s.last_error is not null then 2
                         when s.outcome = 'in progress' then 4 else 3 end as rank
        from told s
        union all
        -- Branches of other coordinators, for which this database is a node: to be seen here, decided there.
        select f.set_id, false, null, f.prepared_at, 1, 1, 0, 0, null, f.owner, null, null, 0, null,
               null, null, false, false, false, format('branch of coordinator %s: ask there (%s): select * from pglobalxact.sets()', f.coordinator, f.where_to_ask), 5
        from pglobalxact.foreign_branch f
    ) s
    order by s.rank, s.started_at
$$;
comment on function pglobalxact.sets() is
    'Every set that is not over, the worst first: in doubt, decided but unfinished on some node, mixed or unknown and not acknowledged, in flight; '
    'last, branches of other coordinators that are prepared in this database. '
    'age since its local transaction began; prepared and finished count its branches, blocked the sessions on all nodes that wait for its locks (null: not looked yet); '
    'role, application and client tell who began it; last_error in the node''s words; of a mixed or unknown set, what became of the branches that are not committed.';
revoke all on function pglobalxact.sets() from public;
grant execute on function pglobalxact.sets() to pglobalxact_monitor;
