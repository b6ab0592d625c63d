create or replace function pglobalxact._register_node(server text, added_by name)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    wrapper name := (select w.fdwname from pg_foreign_server s join pg_foreign_data_wrapper w on w.oid = s.srvfdw where s.srvname = server);
begin
    if wrapper is null then
        raise exception 'foreign server "%" does not exist', server using errcode = 'undefined_object',
            hint = format('CREATE SERVER %I FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host ''…'', port ''…'', dbname ''…''); and commit it before this call.', server);
    elsif wrapper not in ('dblink_fdw', 'postgres_fdw') or server = 'pglobalxact_loopback' then
        raise exception 'foreign server "%" (%) cannot be a node', server, wrapper using errcode = 'wrong_object_type',
            hint = 'A node is a foreign server of dblink_fdw or postgres_fdw.';
    end if;
    insert into pglobalxact.node (name, added_by) values (server, added_by)
    on conflict (name) do update set removed_at = null, lost_at = null, lost_by = null, lost_reason = null;
end
$$;
comment on function pglobalxact._register_node(text, name) is 'Internal. Makes a foreign server a node.';
revoke all on function pglobalxact._register_node(text, name) from public;
