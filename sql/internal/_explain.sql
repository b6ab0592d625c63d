-- Turns the errors that only pglobalxact can explain into words; returns for all others, which speak for themselves.
create or replace function pglobalxact._explain(node text, state text, message text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if state = '22P02' and position('pglobalxact: the settings' in message) > 0 then
        raise exception 'client_encoding or standard_conforming_strings was changed on node "%" by this transaction', node
            using errcode = 'transaction_rollback',
                  detail = 'What the text of a statement means there could no longer be told.',
                  hint = 'ROLLBACK and run the transaction again; send no such SET to a node.';
    elsif state = '26000' and position('"pglobalxact_' in message) > 0 then
        raise exception 'the statements that pglobalxact keeps prepared on node "%" are gone', node
            using errcode = 'transaction_rollback',
                  detail = pglobalxact._broken_by(state),
                  hint = 'ROLLBACK and run the transaction again, without that; nodes must be reached directly, or through a pooler in session mode.';
    elsif (state = '22P02' and position('pglobalxact:' in message) > 0) or state in ('25P02', '08003') then
        raise exception 'the branch on node "%" does not match the local transaction', node
            using errcode = 'transaction_rollback',
                  detail = pglobalxact._broken_by(state),
                  hint = 'ROLLBACK and run the whole transaction again; do not catch errors around exec, and send no COMMIT or ROLLBACK to a node.';
    elsif state like '08%' or state like '57P0%' then
        raise exception 'node "%" was lost: %', node, message
            using errcode = state,
                  hint = 'The set cannot commit: ROLLBACK and run the transaction again. See: select * from pglobalxact.nodes();';
    elsif state = '2F003' then
        raise exception 'the statement returned rows, and exec returns none'
            using errcode = state, hint = 'Use: select * from pglobalxact.query(node, sql) as t (column type, …);';
    end if;
end
$$;
comment on function pglobalxact._explain(text, text, text) is 'Internal. Raises a clearer error for trouble of the protocol''s own.';
revoke all on function pglobalxact._explain(text, text, text) from public;
grant execute on function pglobalxact._explain(text, text, text) to pglobalxact_user;
