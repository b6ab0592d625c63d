-- A local ROLLBACK tells no one, and this session's being in flight on the node now keeps the sidecar from ending what an
-- earlier transaction left open there: its locks are what this one would wait for, without end. A set has one branch per
-- node, so none of these is alive. A first step of exec or query looks after its own connection itself (own => false).
create or replace function pglobalxact._end_leftovers(connection text, own boolean)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    other text;
begin
    foreach other in array coalesce(@extschema:dblink@.dblink_get_connections(), '{}') loop
        if (own or other <> connection) and starts_with(other, regexp_replace(connection, '[0-9]+$', '')) then
            begin
                perform @extschema:dblink@.dblink_exec(other, 'rollback');
            exception
                when query_canceled then
                    perform pglobalxact._drop_connection(other);
                    raise;
                when others then
                    perform pglobalxact._drop_connection(other);
            end;
        end if;
    end loop;
end
$$;
comment on function pglobalxact._end_leftovers(text, boolean) is 'Internal. Rolls back what earlier transactions of this session left open on a node.';
revoke all on function pglobalxact._end_leftovers(text, boolean) from public;
grant execute on function pglobalxact._end_leftovers(text, boolean) to pglobalxact_user;
