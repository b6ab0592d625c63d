-- One round trip to a node: opens the branch or checks that it is where the local transaction thinks it is,
-- counts the step there, and runs the statement. wants_row: the statement's last result is one text column.
create or replace function pglobalxact._run_step(node text, kind text, statement text, wants_row boolean)
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    b record;
    prologue text;
    answer text;
    renewals integer := 0;
begin
    b := pglobalxact._join_set(node, kind, quote_ident(current_user)::regrole::oid);
    prologue := pglobalxact._prologue(b.gid, b.step, b.fresh);
    if b.fresh then
        perform pglobalxact._end_leftovers(b.connection, false);
    end if;
    loop
        begin
            -- 08003 unless the connection is open: dblink would take the name for a connection string.
            perform @extschema:dblink@.dblink_is_busy(b.connection);
            if wants_row then
                answer := pglobalxact._fetch_text(b.connection, prologue || statement);
            else
                answer := @extschema:dblink@.dblink_exec(b.connection, prologue || statement);
            end if;
            return answer;
        exception
            when query_canceled then
                -- The statement may run on at the node: that connection is not to be used again.
                perform pglobalxact._drop_connection(b.connection);
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
