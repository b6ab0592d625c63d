-- Roles on each node whose branches the sidecar has to finish: those of recent sets, and of the user mappings it may read.
-- Only its own and, on a server it owns, PUBLIC's: PostgreSQL shows no others to a role that is not superuser.
create or replace function pglobalxact._branch_owners()
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_object_agg(o.node, o.owners), '{}')
    from (select o.node, jsonb_agg(distinct o.owner) as owners
          from (select r.node, r.owner::text from (select b.node, b.owner from pglobalxact.branch_record b order by b.xid desc limit 10000) r
                union all
                select s.node, s.owner::text from pglobalxact.branch_status s
                union all
                select n.number, t.option_value from pglobalxact.node n join pg_user_mappings m on m.srvname = n.name
                cross join pg_options_to_table(m.umoptions) t where t.option_name = 'user') o
          where o.owner is not null group by o.node) o
$$;
comment on function pglobalxact._branch_owners() is 'Internal. Per node number, the roles there that are known to own branches.';
revoke all on function pglobalxact._branch_owners() from public;
