-- Nodes, as the coordinator sees them: servers, user mappings and rights on them.
create or replace function pglobalxact._doctor_nodes()
returns table (key text, found boolean, severity text, place text, finding text, why text, fix text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with sidecar as (
        select coalesce((select a.usename from pglobalxact._sidecar_pid() s join pg_stat_activity a on a.pid = s.pid limit 1), 'pglobalxact') as role
    ), mapped as (
        select n.name, s.oid as server, r.role, has_server_privilege(r.role, s.oid, 'usage') as may,
               exists (select from pg_user_mappings m where m.srvid = s.oid and (m.umuser = 0 or m.usename = r.role)) as has, r.program
        from pglobalxact.node n join pg_foreign_server s on s.srvname = n.name
        cross join (select c.role, false as program from sidecar c
                    union all
                    select r.rolname, true from pg_roles r, sidecar c
                    where r.rolcanlogin and not r.rolsuper and r.rolname <> c.role and r.rolname <> 'pglobalxact'
                      and pg_has_role(r.oid, to_regrole('pglobalxact_user'), 'member')) r
        where n.removed_at is null
    )
    select 'node.server', n.name is not null, 'error', 'node ' || n.name, format('foreign server %s does not exist', quote_ident(n.name)),
           'it was dropped: no set can use the node, and no branch there be finished', format('select pglobalxact.remove_node(%L);', n.name)
    from (select) one left join pglobalxact.node n
      on n.removed_at is null and not exists (select from pg_foreign_server s where s.srvname = n.name)
    union all
    select 'node.mapping', m.name is not null, 'error', 'node ' || m.name, format('the sidecar''s role %s has no user mapping for server %s', quote_ident(m.role), quote_ident(m.name)),
           'it cannot log in there: branches stay prepared', format('create user mapping for %s server %s options (user ''…'', password ''…'');', quote_ident(m.role), quote_ident(m.name))
    from (select) one left join mapped m on not m.program and not m.has
    union all
    select 'node.usage', m.name is not null, 'error', 'node ' || m.name, format('the sidecar''s role %s may not use server %s', quote_ident(m.role), quote_ident(m.name)),
           'it cannot log in there: branches stay prepared', format('grant usage on foreign server %s to %s;', quote_ident(m.name), quote_ident(m.role))
    from (select) one left join mapped m on not m.program and not m.may
    union all
    select 'node.program_mapping', m.name is not null, 'advice', 'node ' || m.name, format('role %s has no user mapping for server %s', quote_ident(m.role), quote_ident(m.name)),
           'it may run sets, and its exec on this node fails', format('create user mapping for %s server %s options (user ''…'', password ''…'');', quote_ident(m.role), quote_ident(m.name))
    from (select) one left join mapped m on m.program and not m.has
    union all
    select 'node.program_usage', m.name is not null, 'advice', 'node ' || m.name, format('role %s may not use server %s', quote_ident(m.role), quote_ident(m.name)),
           'it may run sets, and its exec on this node fails', format('grant usage on foreign server %s to %s;', quote_ident(m.name), quote_ident(m.role))
    from (select) one left join mapped m on m.program and m.has and not m.may
    union all
    select 'node.lost', n.name is not null, 'advice', 'node ' || n.name, format('declared lost by %s at %s: %s', n.lost_by, date_trunc('second', n.lost_at), n.lost_reason),
           'sets that need it fail; should it come back, it is settled by the commit records, which are kept for it', format('select pglobalxact.remove_node(%L);', n.name)
    from (select) one left join (pglobalxact.node n join pglobalxact.node_status s on s.node = n.number and not s.reachable)
      on n.removed_at is null and n.lost_at is not null
    union all
    select 'node.found', n.name is not null, 'warning', 'node ' || n.name, format('declared lost by %s, and back', n.lost_by),
           'what was left on it is settled, but new sets cannot use it yet', format('select * from pglobalxact.add_node(%L);', n.name)
    from (select) one left join (pglobalxact.node n join pglobalxact.node_status s on s.node = n.number and s.reachable)
      on n.removed_at is null and n.lost_at is not null
$$;
comment on function pglobalxact._doctor_nodes() is 'Internal. What doctor() checks about nodes on the coordinator itself.';
revoke all on function pglobalxact._doctor_nodes() from public;
