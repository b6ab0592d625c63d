create or replace function pglobalxact._refuse_node(node text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    lost record;
begin
    select l.lost_at, l.lost_by, l.lost_reason into lost from pglobalxact.node l where l.name = _refuse_node.node and l.removed_at is null;
    if found then
        raise exception 'node "%" was declared lost by % at %: %', node, lost.lost_by, date_trunc('second', lost.lost_at), lost.lost_reason
            using errcode = 'object_not_in_prerequisite_state',
                  hint = format('If it is back: select * from pglobalxact.add_node(%L);', node);
    end if;
    raise exception 'node "%" does not exist', node
        using errcode = 'undefined_object',
              hint = format('Nodes are listed by pglobalxact.nodes(). To make a foreign server a node: select * from pglobalxact.add_node(%L);', node);
end
$$;
comment on function pglobalxact._refuse_node(text) is 'Internal. Says why a set can have no branch on a node: ERROR 42704 unknown, 55000 declared lost.';
revoke all on function pglobalxact._refuse_node(text) from public;
