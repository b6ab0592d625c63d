create or replace function pglobalxact._refuse(number integer, kind text, state text, message text, details text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    node constant name := (select n.name from pglobalxact.node n where n.number = _refuse.number);
begin
    if state = '22P02' and position('pglobalxact:' in message) > 0 or state = '25P02' then
        message := 'the branch does not match the local transaction';
        details := coalesce(nullif(details, '') || ' ', '') || pglobalxact._broken_by(state);
    end if;
    if state = '26000' then
        message := 'the statements that pglobalxact keeps prepared there are gone';
        details := pglobalxact._broken_by(state);
    end if;
    perform pglobalxact._raise(state, format('set rolled back: node "%s": %s', node, message), details, case
            when state = '22P02' or state = '25P02' then 'Run the whole transaction again; do not catch errors around exec, and send no COMMIT or ROLLBACK to a node.'
            when state = '26000' then 'Run the transaction again, without that; nodes must be reached directly, or through a pooler in session mode.'
            when kind = 'enlist' then 'Run PREPARE TRANSACTION with the gid from pglobalxact.enlist() on the node, and see that it answers PREPARE TRANSACTION, before the local COMMIT.'
            when state = '53200' then format('Node "%s" has no free slot for prepared transactions: raise max_prepared_transactions there, or see what fills it in pg_prepared_xacts.', node)
            when state = '55000' then format('Prepared transactions are disabled on node "%s": set max_prepared_transactions there to at least its max_connections, and restart it.', node)
            when state = '0A000' then 'PostgreSQL cannot prepare a transaction that used temporary objects, NOTIFY, or WITH HOLD cursors: leave them out of the SQL for nodes.'
            when state like '08%' or state like '57P0%' then 'Run the transaction again. See: select * from pglobalxact.nodes();'
            else 'Nothing was committed on any node; correct the cause and run the transaction again.' end);
end
$$;
comment on function pglobalxact._refuse(integer, text, text, text, text) is 'Internal. Raises the error of a set that could not be prepared.';
revoke all on function pglobalxact._refuse(integer, text, text, text, text) from public;
