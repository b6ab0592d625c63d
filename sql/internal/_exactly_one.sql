-- A statement that changes exactly one row, or fails. It is put between dollar signs with a word that is nowhere in it: values in it are users'.
create or replace function pglobalxact._exactly_one(statement text, what text)
returns text
language plpgsql immutable strict
set search_path = pg_catalog, pg_temp
as $$
declare
    body constant text := format(E'#variable_conflict use_column\ndeclare n bigint; begin %s; get diagnostics n = row_count; if n <> 1 then raise exception ''%%'', %L || n; end if; end',
                                 statement, what || ': rows changed, and it is to be 1: ');
    word text := 'repair';
begin
    while position('$' || word || '$' in body) > 0 loop
        word := word || '_';
    end loop;
    return format('do $%s$ %s $%s$;', word, body, word);
end
$$;
comment on function pglobalxact._exactly_one(text, text) is 'Internal. Makes a statement fail unless it changes one row.';
revoke all on function pglobalxact._exactly_one(text, text) from public;
