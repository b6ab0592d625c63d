-- Per node that went the other way: a transaction, of a statement per row. Nothing of it is run here.
create or replace function pglobalxact._repair(set_id text, toward text)
returns table (node name, step integer, statement text, problem text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    key constant record := pglobalxact._set_key(_repair.set_id);
    wanted_id constant text := key.xid || '_' || key.nonce;
    committed constant boolean := exists (select from pglobalxact.commit_record r where r.xid = key.xid and r.nonce = key.nonce);
    way constant text := coalesce(_repair.toward, case when committed then 'commit' else 'rollback' end);
    forward constant boolean := way = 'commit';
    astray record;
    missing integer;
    head constant text := 'begin; set local timezone = ''UTC''; set local datestyle = ''ISO, YMD''; set local intervalstyle = ''postgres''; '
        'set local bytea_output = ''hex''; set local extra_float_digits = 1;';
begin
    if way not in ('commit', 'rollback') then
        raise exception 'toward is "%", and it is to be commit or rollback', way
            using errcode = 'invalid_parameter_value', hint = 'Left out, it is what the set''s local transaction did.';
    elsif not committed and not pg_visible_in_snapshot(key.xid, pg_current_snapshot()) then
        raise exception 'the local transaction of set "%" is not over: it is not decided which way is the right one', wanted_id
            using errcode = 'object_not_in_prerequisite_state', hint = 'It is decided when that transaction ends. See: select * from pglobalxact.sets();';
    end if;
    for astray in select * from pglobalxact._astray(key, way) loop
        if astray.fate is null or astray.fate not in ('committed', 'rolled back') or astray.rows is null then
            return query select astray.node, 0, null::text, case
                when astray.fate is null then 'its branch is not finished: it still goes the way of the decision, or of an order'
                when astray.fate not in ('committed', 'rolled back') then format('what became of its branch is not proved: %s', astray.fate)
                else format('its branch was %s, and its rows are not known: the node was not watched when it was prepared', astray.fate) end;
            continue;
        end if;
        return query select astray.node, 0, head, null::text;
        return query
        select astray.node, case when forward then r.step else -r.step end,
               pglobalxact._exactly_one(m.statement, format('repair of set %s, step %s, %I.%I', wanted_id, r.step, r.change ->> 'schema', r.change ->> 'table')), m.problem
        from (select c as change, (c ->> 'step')::integer as step from jsonb_array_elements(astray.rows) c) r
        cross join lateral pglobalxact._repair_row(r.change, forward) m
        order by 2;
        select count(*) into missing from jsonb_array_elements(astray.rows) c cross join lateral pglobalxact._repair_row(c, forward) m where m.problem is not null;
        if astray.total > jsonb_array_length(astray.rows) then
            missing := missing + astray.total - jsonb_array_length(astray.rows);
            return query select astray.node, null::integer, null::text, format('%s of its %s rows were not kept', astray.total - jsonb_array_length(astray.rows), astray.total);
        end if;
        if astray.late then
            missing := missing + 1;
            return query select astray.node, null::integer, null::text, 'its branch was rolled back before it had been decoded: its rows may not all be known';
        end if;
        return query select astray.node, null::integer, case when missing = 0 then 'commit;'
            else format('rollback; /* %s changes are missing: add them by hand, and commit */', missing) end, null::text;
    end loop;
    if not found then
        raise notice 'no branch of set "%" went the other way than %', wanted_id, way using hint = format('See: select * from pglobalxact.branches(%L);', wanted_id);
    end if;
end
$$;
comment on function pglobalxact._repair(text, text) is 'Internal. The statements that bring the nodes that went the other way into line.';
revoke all on function pglobalxact._repair(text, text) from public;
