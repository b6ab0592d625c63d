-- SQL for a node that returns a column definition list for a SELECT without running it: PL/pgSQL there counts the
-- columns of an empty result, then pg_typeof names their types, so that they read the same under any search_path. The
-- -1 tells format_type "no length": "bpchar", where "character" would mean character(1). No operators: who may create one
-- where the caller's role looks for names could have it run by the caller, where it fits a literal better than PostgreSQL's own.
create or replace function pglobalxact._describe(sql text)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select format($do$do %L; select pg_catalog.current_setting('pglobalxact.columns')$do$, format($body$
declare
    sample record;
    width integer;
    types oid[];
    path constant text := pg_catalog.current_setting('search_path');
begin
    execute %1$L into sample;
    select pg_catalog.count(*) into width from pg_catalog.json_object_keys(pg_catalog.row_to_json(sample));
    if width = 0 then
        raise exception 'the query returns no columns' using errcode = 'syntax_error';
    end if;
    execute pg_catalog.format(%2$L,
        (select pg_catalog.string_agg(pg_catalog.format('pg_catalog.pg_typeof(c%%s)::pg_catalog.oid', i), ', ') from pg_catalog.generate_series(1, width) i),
        (select pg_catalog.string_agg(pg_catalog.format('c%%s', i), ', ') from pg_catalog.generate_series(1, width) i)) into types;
    perform pg_catalog.set_config('search_path', 'pg_catalog', true);
    perform pg_catalog.set_config('pglobalxact.columns',
        (select pg_catalog.string_agg(pg_catalog.format('c%%s %%s', i, pg_catalog.format_type(t, -1)), ', ' order by i)
         from pg_catalog.unnest(types) with ordinality u (t, i)), true);
    perform pg_catalog.set_config('search_path', path, true);
end
$body$, 'select * from (' || sql || E'\n) q limit 0',
        'select array[%1$s] from (select) one left join (select * from (' || replace(sql, '%', '%%') || E'\n) q limit 0) t (%2$s) on true'))
$$;
comment on function pglobalxact._describe(text) is 'Internal. SQL that tells the column types of a SELECT on a node as "c1 integer, c2 text".';
revoke all on function pglobalxact._describe(text) from public;
grant execute on function pglobalxact._describe(text) to pglobalxact_user;
