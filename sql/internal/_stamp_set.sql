-- A set's time, where a clock is kept (keep_clock). It runs inside the local COMMIT, when all nodes have prepared (_prepare_set):
--   K1  the clocks of all servers on which the set worked are read: its nodes' and this one's
--   K2  the latest of them is the set's time, or the next microsecond behind a time that this transaction was told of, if that is later (observe_clock)
--   K3  all of them are read again until each has passed that time
--   K4  the local commit, and only then COMMIT PREPARED on any node
-- Say T2 waited for, or read, what T1 did on a server s, whoever coordinates them. That was to be seen on s only after K4 of T1. At K3 the clock
-- of s had passed T1's time; T2 reads it at K1, behind all of its statements: later. So at K1 that clock is past T1's time, and by K2
-- T2's time is later than T1's. Nothing is kept on a node for that, and one that has other clocks than this server makes its
-- sets wait for the difference, but never come in the wrong order. What it takes is that no server's clock is ever set back. (So it is a hybrid
-- logical clock: a physical one, moved on by what is received. What servers receive of one another is carried by their own clocks.)
--
-- A failure here is one of the COMMIT: no commit record, so recovery rolls the prepared branches back. A crash behind K3 is nothing else.
-- The trigger is there for each branch, and the first one to find all branches does it for all. After SET CONSTRAINTS ALL IMMEDIATE it
-- runs behind each row, and the last one counts.
create or replace function pglobalxact._stamp_set()
returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    tolerance constant numeric := (select extract(epoch from c.tolerance) * 1000000 from pglobalxact.clock c);
    nodes constant integer[] := array(select b.node from pglobalxact.branch_record b where b.xid = new.xid and b.nonce = new.nonce order by b.node);
    stamp bigint := (select s.stamp from pglobalxact.set_stamp s where s.xid = new.xid and s.nonce = new.nonce and s.branches = cardinality(nodes));
    observed constant bigint := nullif(current_setting('pglobalxact.observed_clock', true), '');
    clocks bigint[];
    behind bigint;
    slowest integer;
begin
    if stamp is not null then
        return null;
    end if;
    loop
        clocks := pglobalxact._read_clocks(new.xid || '_' || new.nonce, nodes);
        stamp := coalesce(stamp, greatest((select max(c) from unnest(clocks) c), observed + 1));
        select stamp - c.clock, c.place into behind, slowest from unnest(clocks) with ordinality c (clock, place) order by c.clock limit 1;
        exit when behind < 0;
        if behind > tolerance then
            raise exception 'set rolled back: the clock of % is % behind another''s of this set, or a time it was told of',
                coalesce((select format('node "%s"', n.name) from pglobalxact.node n where n.number = nodes[slowest]), 'this server'), behind * interval '1 microsecond'
                using errcode = 'object_not_in_prerequisite_state', detail = 'Sets get a time that is later on all of their servers (pglobalxact.keep_clock).',
                      hint = 'Set the clocks of all servers by the network, or allow more: select pglobalxact.keep_clock(interval ''…'');';
        end if;
        perform pg_sleep((behind + 1) / 1000000.0);
    end loop;
    insert into pglobalxact.set_stamp as s (xid, nonce, stamp, branches) values (new.xid, new.nonce, stamp, cardinality(nodes))
    on conflict on constraint set_stamp_pk do update set stamp = excluded.stamp, branches = excluded.branches;
    return null;
end
$$;
comment on function pglobalxact._stamp_set() is 'Internal. Gives a set its time, and waits until the clocks of all of its servers have passed it.';
revoke all on function pglobalxact._stamp_set() from public;
