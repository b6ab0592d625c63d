-- The last words of a drain that succeeded: what it could not see, and what is left that nobody waits for.
create or replace function pglobalxact._drain_result(passes jsonb, trouble jsonb)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    silent text;
    strangers text;
begin
    select string_agg(format('%s (%s)', p.node, p.result), ', ' order by p.node) filter (where p.result <> 'ok'),
           string_agg(format('%s on node %s', p.left_alone, p.node), ', ' order by p.node) filter (where p.left_alone > 0)
    into silent, strangers
    from jsonb_to_recordset(passes) as p (node text, left_alone integer, result text);
    if jsonb_array_length(nullif(trouble, 'null')) > 0 then
        raise notice 'mixed or unknown and not acknowledged, but over: %',
            (select string_agg('set ' || s, ', ') from jsonb_array_elements_text(trouble) s)
            using hint = 'See: select * from pglobalxact.sets();';
    end if;
    if strangers is not null then
        raise notice 'prepared transactions that only look like this coordinator''s stay: %', strangers
            using hint = 'See: select * from pglobalxact.branches();';
    end if;
    return 'drained' || coalesce(', but for nodes that do not answer: ' || silent, '');
end
$$;
comment on function pglobalxact._drain_result(jsonb, jsonb) is 'Internal. What drain() returns, with the nodes that could not be looked at.';
revoke all on function pglobalxact._drain_result(jsonb, jsonb) from public;
