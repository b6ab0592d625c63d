-- statement_timeout does not run during COMMIT, where the nodes prepare: waits for an answer in small steps, the first without
-- sleep. Without a deadline nobody need call it: dblink_get_result() waits, and Ctrl-C interrupts it.
create or replace function pglobalxact._wait_until_ready(connection text, deadline timestamptz)
returns void
language plpgsql volatile
as $$
declare
    tries integer := 0;
begin
    while @extschema:dblink@.dblink_is_busy(connection) = 1 loop
        if clock_timestamp() > deadline then
            raise exception 'canceling statement due to statement timeout' using errcode = 'query_canceled',
                detail = 'A node did not answer PREPARE TRANSACTION in time.',
                hint = 'The set is rolled back. See: select * from pglobalxact.nodes();';
        end if;
        tries := tries + 1;
        if tries > 50 then
            perform pg_sleep(0.001);
        end if;
    end loop;
end
$$;
comment on function pglobalxact._wait_until_ready(text, timestamptz) is 'Internal. Waits for an answer until a deadline; ERROR 57014 past it.';
revoke all on function pglobalxact._wait_until_ready(text, timestamptz) from public;
