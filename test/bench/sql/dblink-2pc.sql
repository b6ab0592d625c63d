-- 2PC as a DBA writes it with dblink: connections are opened once per session and kept, each phase goes from node to node.
-- The COMMIT in the procedure is the decision. A nightly job would remove old records, and finish what a crash left.
create procedure open_nodes(branches integer)
language plpgsql
as $$
begin
    for n in 1 .. branches loop
        perform dblink_connect('bench_' || n, 'n' || n);
    end loop;
end
$$;

create procedure transfer(branches integer, account_id integer, transfer_tag bigint)
language plpgsql
as $$
declare
    -- With the node's number, as two nodes may be databases of one server.
    gid constant text := 'bench_' || transfer_tag || '_';
begin
    for n in 1 .. branches loop
        perform dblink_exec('bench_' || n,
            format('begin; update account set balance = balance + 1, tag = %s where id = %s', transfer_tag, account_id));
    end loop;
    for n in 1 .. branches loop
        if dblink_exec('bench_' || n, format('prepare transaction %L', gid || n)) <> 'PREPARE TRANSACTION' then
            raise exception 'node % did not prepare %', n, gid || n;
        end if;
    end loop;
    insert into decision (tag, nodes) select transfer_tag, array_agg(n) from generate_series(1, branches) n;
    commit;
    for n in 1 .. branches loop
        perform dblink_exec('bench_' || n, format('commit prepared %L', gid || n));
    end loop;
end
$$;
