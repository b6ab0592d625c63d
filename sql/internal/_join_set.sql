-- Counts one step of a branch in the local transaction, and opens set and branch on first use.
--
-- What a set has done so far is kept in settings local to the transaction, not in rows: ROLLBACK and ROLLBACK TO SAVEPOINT take them
-- back as they would rows, and a branch is written down once, when it is prepared.
--   pglobalxact.set           <set id> <opening | early | open | prepared> <node number> …
--   pglobalxact.branch_<n>    <set id> <kind> <oid of the role> <step>
-- The set id in front tells values of this transaction from any others. A session can change its own settings: that breaks its own set
-- and nobody else's, as all identifiers in rows are computed from the caller's own transaction (here and in _prepare_set).
-- A crash on any line leaves nothing: the commit record's row is the local transaction's.
--
-- On this path every statement counts, and the first use of each expression in a transaction more than its repetitions: one lookup of
-- the node, and functions called in assignments, which pass the executor by (PERFORM does not).
create or replace function pglobalxact._join_set(
    node text, kind text, caller oid,
    out connection text, out gid text, out step integer, out fresh boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    xid xid8;
    number integer;
    state text[];
    branch text[];
    done text;
begin
    if current_setting('transaction_read_only')::boolean then
        raise exception 'a read-only transaction cannot have a set: the commit record is written in it'
            using errcode = 'read_only_sql_transaction', hint = 'Begin it with: BEGIN READ WRITE; on a standby there are no sets.';
    end if;
    select n.number into number from pglobalxact.node n where n.name = node and n.removed_at is null and n.lost_at is null;
    if number is null then
        perform pglobalxact._refuse_node(node);
    end if;

    xid := pg_current_xact_id();
    state := string_to_array(current_setting('pglobalxact.set', true), ' ');
    if (split_part(state[1], '_', 1) = xid::text) is not true then
        state := array[xid || '_' || pglobalxact._nonce('@coordinator@', xid, pg_postmaster_start_time())];
    elsif state[2] = 'prepared' then
        raise exception 'this transaction''s set is prepared already: it can take no more work'
            using errcode = 'object_not_in_prerequisite_state',
                  hint = 'SET CONSTRAINTS ALL IMMEDIATE prepares the set: run it last, or name the constraints you mean.';
    end if;

    branch := string_to_array(current_setting('pglobalxact.branch_' || number, true), ' ');
    fresh := branch[1] is distinct from state[1];
    if fresh then
        done := pglobalxact._open_branch(xid, state, number);
        branch := array[null, kind, null, '0'];
    elsif branch[3] <> caller::text or (branch[2] = 'enlist') <> (kind = 'enlist') then
        raise exception 'this transaction already has a branch on node "%" under another role or by other means', node
            using errcode = 'object_not_in_prerequisite_state',
                  hint = 'A set has one branch per node: use it as one role, through exec and query or through enlist.';
    end if;
    step := branch[4]::integer + 1;
    done := set_config('pglobalxact.branch_' || number,
        state[1] || ' ' || case branch[2] when 'query' then kind else branch[2] end || ' ' || caller || ' ' || step, true);
    gid := 'pgx_@coordinator@_' || state[1] || '_' || number;
    connection := pglobalxact._connection_for(kind, number::text, caller::text);
end
$$;
comment on function pglobalxact._join_set(text, text, oid) is
    'Internal. Enters the current transaction''s branch on a node, or counts a step of it; returns its gid and dblink connection.';
revoke all on function pglobalxact._join_set(text, text, oid) from public;
grant execute on function pglobalxact._join_set(text, text, oid) to pglobalxact_user;
