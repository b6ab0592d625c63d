-- Where the nodes are and how the sidecar logs in there: the foreign server's options and its own user mapping's.
create or replace function pglobalxact._node_list()
returns table (number integer, name text, server_options text[], mapping_options text[], active boolean, lost boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select n.number, n.name::text, s.srvoptions, coalesce(own.umoptions, everyone.umoptions), n.removed_at is null, n.lost_at is not null
    from pglobalxact.node n
    left join pg_foreign_server s on s.srvname = n.name
    left join pg_user_mappings own on own.srvid = s.oid and own.usename = current_user
    left join pg_user_mappings everyone on everyone.srvid = s.oid and everyone.umuser = 0
    where n.removed_at is null
       or exists (select from pglobalxact.branch_record b join pglobalxact.commit_record r using (xid, nonce)
                  where b.node = n.number and r.complete_at is null)
    order by n.number
$$;
comment on function pglobalxact._node_list() is 'Internal. Nodes with the connection options of the calling role.';
revoke all on function pglobalxact._node_list() from public;
