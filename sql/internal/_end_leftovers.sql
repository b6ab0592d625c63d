-- A local ROLLBACK tells no one, and this session's being in flight on the node now keeps the sidecar from ending what an
-- earlier transaction left open there: its locks are what this one would wait for, without end. A set has one branch per
-- node, so none of these is alive. A first step of exec or query looks after its own connection itself.
create or replace function pglobalxact._end_leftovers(gid text, connection text)
returns void
language plpgsql volatile
as $$
declare
    other text;
begin
    foreach other in array coalesce(@extschema:dblink@.dblink_get_connections(), '{}') loop
        if other <> connection and starts_with(other, 'pgx_' || split_part(gid, '_', 5) || '_') then
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
comment on function pglobalxact._end_leftovers(text, text) is
    'Internal. Rolls back what earlier transactions of this session left open on the node of a branch, on other connections than the one given.';
revoke all on function pglobalxact._end_leftovers(text, text) from public;
grant execute on function pglobalxact._end_leftovers(text, text) to pglobalxact_user;
