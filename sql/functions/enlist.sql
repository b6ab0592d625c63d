-- Enters a branch that the program prepares itself, on its own connection. Writes commit_record; branch_record is written at COMMIT.
create or replace function pglobalxact.enlist(node text)
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    b constant record := pglobalxact._join_set(node, 'enlist', quote_ident(current_user)::regrole::oid);
begin
    if b.fresh and pglobalxact._has_leftovers(b.gid, b.connection) then
        -- An older branch of this session could hold the very locks that the program will wait for.
        perform pglobalxact._end_leftovers(b.gid, b.connection);
    end if;
    if b.fresh and coalesce(nullif(current_setting('pglobalxact.verify_enlisted', true), '')::boolean, true)
       and not pglobalxact._seems_connected(b.connection) then
        perform pglobalxact._drop_connection(b.connection);
        perform pglobalxact._connect(b.connection, node);
    end if;
    return b.gid;
end
$$;
comment on function pglobalxact.enlist(text) is
    'For programs with a connection of their own to the node: returns the gid. The program works there in a transaction, runs PREPARE TRANSACTION with it, '
    'then commits locally. The local COMMIT fails unless the gid is prepared by then (pglobalxact.verify_enlisted, default on).';
revoke all on function pglobalxact.enlist(text) from public;
grant execute on function pglobalxact.enlist(text) to pglobalxact_user;
