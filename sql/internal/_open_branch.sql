-- The first use of a node by the current transaction.
create or replace function pglobalxact._open_branch(
    xid xid8, nonce text, number integer, kind text, connection text, node text, start_known boolean)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    other record;
begin
    if not start_known then
        perform pglobalxact._on_loopback('select pglobalxact._record_server_start()::text');
    end if;

    perform pglobalxact._mark_in_flight(number);

    select bool_or(b.prepared) as prepared, bool_or(b.node = number) as other_role into other
    from pglobalxact.branch_record b where b.xid = xid and b.nonce = nonce;
    if other.prepared then
        raise exception 'this transaction''s set is prepared already: it can take no more work'
            using errcode = 'object_not_in_prerequisite_state',
                  hint = 'SET CONSTRAINTS ALL IMMEDIATE prepares the set: run it last, or name the constraints you mean.';
    elsif other.other_role then
        raise exception 'this transaction already has a branch on node "%" under another role or by other means', node
            using errcode = 'object_not_in_prerequisite_state',
                  hint = 'A set has one branch per node: use it as one role, through exec and query or through enlist.';
    elsif other.prepared is null then
        -- Behind the mark above: the argument stands at pglobalxact._refuse_paused.
        if (select s.last_value from pglobalxact.pause_switch s) <> 0 then
            perform pglobalxact._refuse_paused();
        end if;
        -- An earlier SET CONSTRAINTS ALL IMMEDIATE would prepare the set before its first statement.
        set constraints pglobalxact.prepare_set deferred;
        insert into pglobalxact.commit_record (xid, nonce, application_name, client_addr)
        values (xid, nonce, current_setting('application_name'), inet_client_addr());
    end if;
    insert into pglobalxact.branch_record (xid, nonce, node, kind, connection) values (xid, nonce, number, kind, connection);
end
$$;
comment on function pglobalxact._open_branch(xid8, text, integer, text, text, text, boolean) is
    'Internal. Writes the commit record''s rows for a new branch and marks the set in flight.';
revoke all on function pglobalxact._open_branch(xid8, text, integer, text, text, text, boolean) from public;
