-- The branches of a set with what is known of each: of those that were decoded their rows, of the others at least their fate.
create or replace function pglobalxact._astray(key record, toward text)
returns table (node name, total bigint, late boolean, rows jsonb, fate text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    wanted constant text := case toward when 'commit' then 'committed' else 'rolled back' end;
    decoded constant jsonb := pglobalxact._changes_of(key);
begin
    return query
    select coalesce(d.node, n.name), d.total, coalesce(d.late, false), d.rows, coalesce(d.fate, b.fate, case when r.complete_at is not null then 'committed' end)
    from jsonb_to_recordset(decoded) as d (number integer, node name, total bigint, late boolean, rows jsonb, fate text)
    full join (select b.* from pglobalxact.branch_record b where b.xid = key.xid and b.nonce = key.nonce and not b.plain) b on b.node = d.number
    left join pglobalxact.node n on n.number = b.node
    left join pglobalxact.commit_record r on r.xid = b.xid and r.nonce = b.nonce
    where coalesce(d.fate, b.fate, case when r.complete_at is not null then 'committed' end) is distinct from wanted
    order by 1;
end
$$;
comment on function pglobalxact._astray(record, text) is 'Internal. The branches of a set that did not go the way given, or not yet.';
revoke all on function pglobalxact._astray(record, text) from public;
