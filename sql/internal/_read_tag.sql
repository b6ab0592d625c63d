-- PREPARE TRANSACTION and COMMIT in an aborted transaction answer ROLLBACK and no error: the tag must be checked.
create or replace function pglobalxact._read_tag(connection text, expected text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    tag text;
begin
    if expected is not null then
        select t.tag into tag from @extschema:dblink@.dblink_get_result(connection) as t (tag text);
        if tag is distinct from expected then
            raise exception 'the remote transaction had failed: % answered %', expected, coalesce(tag, 'nothing')
                using errcode = 'in_failed_sql_transaction';
        end if;
    end if;
    -- The empty result behind the last one makes the connection ready for its next statement.
    perform from @extschema:dblink@.dblink_get_result(connection) as t (tag text);
end
$$;
comment on function pglobalxact._read_tag(text, text) is 'Internal. Reads a command tag and the end of the answer; ERROR 25P02 when it is not the tag expected.';
revoke all on function pglobalxact._read_tag(text, text) from public;
grant execute on function pglobalxact._read_tag(text, text) to pglobalxact_user;
