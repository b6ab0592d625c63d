-- Of any time: a node that was removed may still be asked about.
create or replace function pglobalxact._require_node(node text, look text default 'nodes')
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if node is not null and not exists (select from pglobalxact.node n where n.name = _require_node.node) then
        raise exception 'node "%" does not exist', node using errcode = 'undefined_object', hint = format('See: select * from pglobalxact.%I();', look);
    end if;
end
$$;
comment on function pglobalxact._require_node(text, text) is 'Internal. ERROR 42704 for a name that no node has or had; null is none. look: the function that lists those that may be named.';
revoke all on function pglobalxact._require_node(text, text) from public;
