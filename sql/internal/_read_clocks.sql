-- The nodes are asked all at once, on the connections on which the session has just prepared their branches; the last clock is
-- this server's own.
create or replace function pglobalxact._read_clocks(set_id text, nodes integer[])
returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Names are found, and operators meant, as on the node's own terms only: the search_path there is the program's.
    question constant text := 'select pg_catalog.round(pg_catalog.numeric_mul(extract(epoch from pg_catalog.clock_timestamp()), 1000000))::pg_catalog.text';
    connections text[] := '{}';
    branch text[];
    clocks bigint[] := '{}';
    answer text;
begin
    for i in 1 .. cardinality(nodes) loop
        branch := string_to_array(current_setting('pglobalxact.branch_' || nodes[i], true), ' ');
        connections := connections || pglobalxact._connection_for(branch[2], nodes[i]::text, branch[3]);
        if (branch[1] = set_id and connections[i] = any (@extschema:dblink@.dblink_get_connections())) is not true then
            raise exception 'set rolled back: the clock of node "%" cannot be read', (select n.name from pglobalxact.node n where n.number = nodes[i])
                using errcode = 'object_not_in_prerequisite_state',
                      hint = 'Leave pglobalxact.verify_enlisted on, or stop keeping a clock: select pglobalxact.stop_clock();';
        end if;
    end loop;
    for i in 1 .. cardinality(nodes) loop
        perform pglobalxact._send(connections[i], question);
    end loop;
    for i in 1 .. cardinality(nodes) loop
        select t.clock into answer from @extschema:dblink@.dblink_get_result(connections[i]) as t (clock text);
        perform from @extschema:dblink@.dblink_get_result(connections[i]) as t (clock text);
        clocks := clocks || (answer::bigint + pglobalxact._clock_skew(nodes[i]));
    end loop;
    return clocks || (round(extract(epoch from clock_timestamp()) * 1000000)::bigint + pglobalxact._clock_skew(null));
exception when query_canceled or others then
    -- An answer may be under way.
    for i in 1 .. cardinality(connections) loop
        perform pglobalxact._drop_connection(connections[i]);
    end loop;
    raise;
end
$$;
comment on function pglobalxact._read_clocks(text, integer[]) is 'Internal. Microseconds since 1970 by the clocks of a set''s nodes, in their order, and of this server.';
revoke all on function pglobalxact._read_clocks(text, integer[]) from public;
