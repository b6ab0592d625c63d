-- One round trip to a node: opens the branch or checks that it is where the local transaction thinks it is,
-- counts the step there, and runs the statement. wants_row: the statement's last result is one text column.
create or replace function pglobalxact._run_step(node text, kind text, statement text, wants_row boolean)
returns text
language plpgsql volatile
as $$
declare
    b constant record := pglobalxact._join_set(node, kind, quote_ident(current_user)::regrole::oid);
    renewals integer := 0;
begin
    if b.fresh and pglobalxact._has_leftovers(b.gid, b.connection) then
        perform pglobalxact._end_leftovers(b.gid, b.connection);
    end if;
    loop
        begin
            -- dblink_is_busy: 08003 unless the connection is open, or dblink would take the name for a connection string.
            return case when @extschema:dblink@.dblink_is_busy(b.connection) is null then null
                when wants_row then pglobalxact._fetch_text(b.connection, pglobalxact._prologue(b.gid, b.step, b.fresh) || statement)
                else @extschema:dblink@.dblink_exec(b.connection, pglobalxact._prologue(b.gid, b.step, b.fresh) || statement) end;
        exception
            when query_canceled then
                -- The statement may run on at the node: that connection is not to be used again.
                perform pglobalxact._drop_connection(b.connection);
                perform pglobalxact._explain_cancel();
                raise;
            when others then
                -- Two: an older branch is found open, and while it is rolled back the sidecar ends it, connection and all.
                if b.fresh and renewals < 2 and pglobalxact._renew(b.connection, node, sqlstate, sqlerrm) then
                    renewals := renewals + 1;
                else
                    perform pglobalxact._explain(node, sqlstate, sqlerrm);
                    raise;
                end if;
        end;
    end loop;
end
$$;
comment on function pglobalxact._run_step(text, text, text, boolean) is 'Internal. Runs one statement as a step of the current set''s branch on a node.';
revoke all on function pglobalxact._run_step(text, text, text, boolean) from public;
grant execute on function pglobalxact._run_step(text, text, text, boolean) to pglobalxact_user;
