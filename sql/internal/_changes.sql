-- The rows that a set's branches change, on nodes that are watched.
create or replace function pglobalxact._changes(set_id text, of_node text)
returns table (node name, step integer, relation text, operation text, old_row jsonb, new_row jsonb, total bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    key constant record := pglobalxact._set_key(_changes.set_id);
    only_node constant text := coalesce(of_node, (select n.name from pglobalxact.node n where n.number = key.node));
    branches jsonb;
begin
    perform pglobalxact._require_node(only_node);
    branches := pglobalxact._changes_of(key);
    return query
    select b.node, r.step, format('%I.%I', r.schema, r."table"), r.operation, r.old, r.new, case when b.late then null else b.total end
    from jsonb_to_recordset(branches) as b (node name, total bigint, late boolean, rows jsonb)
    cross join lateral jsonb_to_recordset(b.rows) as r (step integer, schema text, "table" text, operation text, old jsonb, new jsonb)
    where only_node is null or b.node = only_node
    order by b.node, r.step;
    if not found then
        raise notice 'no row of set "%" is known', key.xid || '_' || key.nonce
            using hint = 'Rows are known of branches that were prepared while their node was watched, in tables of its publication, until the set is off the books. See: select * from pglobalxact.watched();';
    end if;
end
$$;
comment on function pglobalxact._changes(text, text) is 'Internal. The rows that a set''s branches change.';
revoke all on function pglobalxact._changes(text, text) from public;
