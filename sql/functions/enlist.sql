-- Enters a branch that the program prepares itself, on its own connection. Writes commit_record and branch_record.
create or replace function pglobalxact.enlist(node text)
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    b record;
    verify constant boolean := coalesce(nullif(current_setting('pglobalxact.verify_enlisted', true), '')::boolean, true);
begin
    b := pglobalxact._join_set(node, 'enlist', quote_ident(current_user)::regrole::oid);
    if b.fresh then
        -- An older branch of this session could hold the very locks that the program will wait for.
        perform pglobalxact._end_leftovers(b.connection, true);
        if verify and not b.connection = any (coalesce(@extschema:dblink@.dblink_get_connections(), '{}')) then
            perform pglobalxact._connect(b.connection, node);
        end if;
    end if;
    return b.gid;
end
$$;
comment on function pglobalxact.enlist(text) is
    'For programs with a connection of their own to the node: returns the gid. The program works there in a transaction, runs PREPARE TRANSACTION with it, '
    'then commits locally. The local COMMIT fails unless the gid is prepared by then (pglobalxact.verify_enlisted, default on).';
revoke all on function pglobalxact.enlist(text) from public;
grant execute on function pglobalxact.enlist(text) to pglobalxact_user;
