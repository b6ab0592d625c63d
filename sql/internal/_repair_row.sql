-- One statement that does again what a branch did to one row, or undoes it; or why there is none. Each names the row by all that is known of
-- its value, so that a row which has changed since is not touched. A value of a type that may have no equality is compared as text.
create or replace function pglobalxact._repair_row(change jsonb, forward boolean, out statement text, out problem text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    relation constant text := format('%I.%I', change ->> 'schema', change ->> 'table');
    operation constant text := change ->> 'operation';
    before constant jsonb := nullif(change -> 'old', 'null');
    after constant jsonb := nullif(change -> 'new', 'null');
    -- The row as it is there, and as it is to be.
    there constant jsonb := case when forward then before else after end;
    wanted constant jsonb := case when forward then after else before end;
    matches text;
begin
    if operation = 'truncate' then
        problem := format('%s was truncated: there is no row to name', relation);
    elsif operation <> 'insert' and (change ->> 'unknown')::boolean then
        problem := format('which row this %s of %s changed is not known for certain: the branch was finished, or altered the table, before the node was asked what identifies its rows', operation, relation);
    elsif operation <> 'insert' and before is null then
        problem := format('%s has no replica identity: which row this %s changed is not known', relation, operation);
    elsif operation <> 'insert' and not forward and not (change ->> 'whole')::boolean then
        problem := format('the old row of this %s of %s is not known, as its replica identity is not FULL', operation, relation);
    elsif there is null then
        select format('insert into %s (%s) overriding system value values (%s)', relation,
                      string_agg(quote_ident(c.key), ', ' order by c.key), string_agg(quote_nullable(c.value), ', ' order by c.key))
        into statement from jsonb_each_text(wanted) c;
    else
        select string_agg(case when c.value is null then format('%I is null', c.key)
                               when change -> 'equal' ? c.key then format('%I = %L', c.key, c.value)
                               else format('%I::text = %L', c.key, c.value) end, ' and ' order by c.key)
        into matches from jsonb_each_text(there) c;
        statement := case when operation = 'update' then
            (select format('update %s set %s where %s', relation, string_agg(format('%I = %L', c.key, c.value), ', ' order by c.key), matches)
             from jsonb_each_text(wanted) c
             -- What is the same in both is not written, unless nothing else is left.
             where c.value is distinct from (there ->> c.key) or not there ? c.key or wanted = there)
        else format('delete from %s where %s', relation, matches) end;
    end if;
end
$$;
comment on function pglobalxact._repair_row(jsonb, boolean) is 'Internal. The statement that repeats or undoes one row''s change, or why there is none.';
revoke all on function pglobalxact._repair_row(jsonb, boolean) from public;
