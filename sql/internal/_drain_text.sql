create or replace function pglobalxact._drain_text(open jsonb, most integer)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    parts text[];
begin
    select array_agg(format('pid %s %s for %s', f.pid, f.role, date_trunc('second', greatest(clock_timestamp() - f.since, interval '0'))) order by f.number) into parts
    from rows from (jsonb_to_recordset(open -> 'in flight') as (pid integer, role name, since timestamptz)) with ordinality as f (pid, role, since, number)
    where f.number <= most;
    if parts is not null then
        parts := array[format('%s in flight (%s%s)', jsonb_array_length(open -> 'in flight'), array_to_string(parts, ', '),
                              case when jsonb_array_length(open -> 'in flight') > most then ', …' end)];
    end if;
    parts := parts || array(select format('%s unfinished%s%s', d.sets, ' on node ' || d.node, ': ' || d.problem)
                            from jsonb_to_recordset(open -> 'decided') as d (node name, sets bigint, problem text))
                   || array(select format('%s %s on node %s%s', o.branches, case o.state when 'running' then 'prepared (its local transaction runs)'
                                          when 'left alone' then 'left alone' else 'undecided' end, o.node, ': ' || o.problem)
                            from jsonb_to_recordset(open -> 'others') as o (node name, state text, branches bigint, problem text));
    return format('%s set%s: %s', open ->> 'sets', case when open ->> 'sets' <> '1' then 's' end, array_to_string(parts, ', '));
end
$$;
comment on function pglobalxact._drain_text(jsonb, integer) is 'Internal. What drain() waits for, in words; so many sessions are named at most.';
revoke all on function pglobalxact._drain_text(jsonb, integer) from public;
