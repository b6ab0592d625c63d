-- Counts one step of a branch in the local transaction, and opens set and branch on first use.
-- All identifiers are computed here from the caller's own transaction, so a caller can only ever plant rows for it.
-- A crash on any line leaves nothing: the rows are the local transaction's.
create or replace function pglobalxact._join_set(
    node text, kind text, caller oid,
    out connection text, out gid text, out step integer, out fresh boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    home record;
    lost record;
    xid xid8;
    nonce text;
    number integer;
begin
    if current_setting('transaction_read_only')::boolean then
        raise exception 'a read-only transaction cannot have a set: the commit record is written in it'
            using errcode = 'read_only_sql_transaction', hint = 'Begin it with: BEGIN READ WRITE; on a standby there are no sets.';
    end if;
    xid := pg_current_xact_id();
    select c.id, n.number, exists (select from pglobalxact.server_start s where s.started_at = pg_postmaster_start_time()) as known
    into home
    from pglobalxact.coordinator c left join pglobalxact.node n on n.name = node and n.removed_at is null and n.lost_at is null;
    number := home.number;
    if number is null then
        select l.lost_at, l.lost_by, l.lost_reason into lost from pglobalxact.node l where l.name = node and l.removed_at is null;
        if found then
            raise exception 'node "%" was declared lost by % at %: %', node, lost.lost_by, date_trunc('second', lost.lost_at), lost.lost_reason
                using errcode = 'object_not_in_prerequisite_state',
                      hint = format('If it is back: select * from pglobalxact.add_node(%L);', node);
        end if;
        raise exception 'node "%" does not exist', node
            using errcode = 'undefined_object',
                  hint = format('Nodes are listed by pglobalxact.nodes(). To make a foreign server a node: select * from pglobalxact.add_node(%L);', node);
    end if;

    nonce := pglobalxact._nonce(home.id, xid, pg_postmaster_start_time());
    gid := 'pgx_' || home.id || '_' || xid || '_' || nonce || '_' || number;
    connection := 'pgx_' || number || '_' || caller;

    update pglobalxact.branch_record b
    set step = b.step + 1, kind = case when b.kind = 'query' then kind else b.kind end
    where b.xid = xid and b.nonce = nonce and b.node = number and not b.prepared
      and b.connection = connection and (b.kind = 'enlist') = (kind = 'enlist')
    returning b.step into step;
    fresh := not found;
    if fresh then
        step := 1;
        perform pglobalxact._open_branch(xid, nonce, number, kind, connection, node, home.known);
    end if;
end
$$;
comment on function pglobalxact._join_set(text, text, oid) is
    'Internal. Enters the current transaction''s branch on a node, or counts a step of it; returns its gid and dblink connection.';
revoke all on function pglobalxact._join_set(text, text, oid) from public;
grant execute on function pglobalxact._join_set(text, text, oid) to pglobalxact_user;
