-- Every prepared transaction there is to see: what the sidecar was told by the nodes, and this server's own. One that two looks
-- show (a server has all its databases' in one view) is shown once: at the node whose database it is in, otherwise at
-- the first node of its server; here, at the coordinator, if it is no node's.
create or replace function pglobalxact.prepared()
returns table (place text, manager text, gid text, database text, owner text, age interval, blocked integer, holds_back integer, locks text, note text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    most constant integer := 1000;
    own constant text := (select c.id from pglobalxact.coordinator c);
    answers jsonb := '[]';
    problem text;
    detail text;
    hint text;
begin
    if exists (select from pglobalxact.node n where n.removed_at is null) then
        begin
            answers := pglobalxact._request('prepared', jsonb_build_object('most', most));
        exception when others then
            get stacked diagnostics problem = message_text, detail = pg_exception_detail, hint = pg_exception_hint;
            raise notice 'the nodes could not be asked: %', problem using detail = detail, hint = hint;
        end;
    end if;
    return query
    with looks as materialized (
        select a.number, a.node, a.error, a.server, a.database, a.totals, a.prepared, a.sidecars
        from jsonb_to_recordset(answers) as a (number integer, node text, error text, server text, database text, totals jsonb, prepared jsonb, sidecars jsonb)
        union all
        select 0, 'coordinator', null, h.server, h.database, h.totals, h.prepared, h.sidecars from pglobalxact._prepared_here(most) h
    ), homes as materialized (
        -- Where the prepared transactions of each database are shown.
        select l.server, d.name as database,
               (array_agg(l.number order by l.database = d.name and l.number > 0 desc, l.number))[1] as number
        from looks l cross join lateral jsonb_object_keys(l.totals) as d (name)
        group by l.server, d.name
    ), shown as materialized (
        select l.number, l.node, l.sidecars, p.*
        from looks l
        cross join lateral jsonb_to_recordset(l.prepared) as p (gid text, owner text, database text, age interval, blocked integer, holds_back integer,
                                                                locks text, verdict text, reason text, attempts integer, problem text)
        join homes h on h.number = l.number and h.server = l.server and h.database = p.database
    ), rest as (
        select l.number, l.node, sum((l.totals ->> h.database)::bigint) as total,
               (select count(*) from shown s where s.number = l.number) as listed
        from looks l join homes h on h.number = l.number and h.server = l.server
        group by l.number, l.node
    ), lines as (
        select 0 as rank, l.node, null::text as manager, null::text as gid, l.database, null::text as owner, null::interval as age, null::integer as blocked,
               null::integer as holds_back, null::text as locks, 'does not answer: ' || l.error as note
        from looks l where l.error is not null
        union all
        select 1, s.node, case when m.name = 'pglobalxact ' || own then 'this coordinator' else m.name end, s.gid, s.database, s.owner, s.age, s.blocked,
               s.holds_back, s.locks, pglobalxact._note_of(s.gid, m.name, s.owner, s.verdict, s.reason, s.attempts, s.problem, s.sidecars)
        from shown s cross join lateral (select pglobalxact._manager_of(s.gid) as name) m
        union all
        select 2, r.node, null, null, null, null, null, null, null, null, format('%s younger ones are not listed: %s in all', r.total - r.listed, r.total)
        from rest r where r.total > r.listed
    )
    select l.node, l.manager, l.gid, l.database, l.owner, case when l.age is not null then date_trunc('second', greatest(l.age, interval '0')) end, l.blocked, l.holds_back, l.locks, l.note
    from lines l
    -- Clocks are compared in whole seconds: the nodes were not asked in the same instant.
    order by l.rank, date_trunc('second', l.age) desc, l.node, l.age desc, l.gid;
end
$$;
comment on function pglobalxact.prepared() is
    'Every prepared transaction on every node and on this server, ours and others'', the oldest first: the manager its gid points to, sessions blocked by it, '
    'transactions it holds vacuum back, tables it locks, and who settles it. A node that does not answer has one row that says so. Without a sidecar: this server only, and a notice.';
revoke all on function pglobalxact.prepared() from public;
grant execute on function pglobalxact.prepared() to pglobalxact_monitor;
