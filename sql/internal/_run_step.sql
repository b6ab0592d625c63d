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
    retried boolean := false;
begin
    b := pglobalxact._join_set(node, kind, current_user::regrole::oid);
    prologue := pglobalxact._prologue(b.gid, b.step, b.fresh);
    loop
        begin
            -- 08003 unless the connection is open: dblink would take the name for a connection string.
            perform @extschema:dblink@.dblink_is_busy(b.connection);
            if wants_row then
                select t.answer into answer from @extschema:dblink@.dblink(b.connection, prologue || statement) as t (answer text);
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
                if b.fresh and not retried and pglobalxact._renew(b.connection, node, sqlstate, sqlerrm) then
                    retried := true;
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
