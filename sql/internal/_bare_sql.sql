-- SQL without its literals, quoted names and comments, read as the server's own scanner reads it: what is left is what the
-- node will take for words. It is not one regular expression, because comments nest, a literal in E'' goes on behind a line
-- break, a line comment ends at a carriage return too, and any character beyond ASCII may stand in a name or a dollar tag.
-- Collation "C", as in a Turkish one i is no lower case of I. This function's own literals must not depend on the caller's
-- standard_conforming_strings. On the node it is assumed to be on, and the text to be read in the same encoding: the step check
-- (_prologue) runs nothing where it is not so.
create or replace function pglobalxact._bare_sql(sql text)
returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp set standard_conforming_strings = on
as $$
declare
    -- In a name: ASCII letters, digits, _ and whatever is not ASCII; written as what is not in one, for any server encoding.
    -- Characters that may begin or end something, each by itself, and the runs between them.
    piece constant text[] := array(select (regexp_matches(sql collate "C", '[^''"\\$/*\n\r-]+|.', 'g'))[1]);
    last constant integer := cardinality(piece);
    bare text[] := '{}';
    out integer := 0;
    i integer := 1;
    j integer;
    depth integer;
    tag text;
    p text;
    escapes boolean;
    in_word boolean := false;     -- what comes next would continue a name
    continued boolean := false;   -- the piece just read did
    after_escapes boolean := false; -- an E'' literal has just ended: behind a line break it may go on
    line_broken boolean := false;
begin
    while i <= last loop
        p := piece[i];
        out := out + 1;
        if p = '''' then
            escapes := after_escapes and line_broken
                or (i > 1 and piece[i - 1] collate "C" ~ '(^|[\x01-/:-@\[-^`{-\x7f])[[:digit:]]*[eE]$'
                    and not (continued and piece[i - 1] collate "C" ~ '^[[:digit:]]*[eE]$'));
            i := i + 1;
            loop
                exit when i > last;
                if piece[i] = '''' then
                    exit when i = last or piece[i + 1] <> '''';
                    i := i + 1;
                elsif escapes and piece[i] = '\' then
                    i := i + 1;
                end if;
                i := i + 1;
            end loop;
            i := i + 1;
            bare[out] := ' '''' ';
            after_escapes := escapes;
            line_broken := false;
            in_word := false;
            continue;
        elsif p = '-' and i < last and piece[i + 1] = '-' then
            while i <= last and piece[i] not in (E'\n', E'\r') loop
                i := i + 1;
            end loop;
            bare[out] := ' ';
            in_word := false;
            continue;
        elsif p in (E'\n', E'\r') then
            bare[out] := p;
            line_broken := true;
            in_word := false;
            i := i + 1;
            continue;
        elsif p collate "C" ~ '^[ \t\f\v]+$' then
            bare[out] := p;
            in_word := false;
            i := i + 1;
            continue;
        end if;

        after_escapes := false;
        line_broken := false;
        if p = '"' then
            i := i + 1;
            while i <= last and piece[i] <> '"' loop
                i := i + 1;
            end loop;
            i := i + 1;
            bare[out] := ' "" ';
            in_word := false;
        elsif p = '/' and i < last and piece[i + 1] = '*' then
            depth := 1;
            i := i + 2;
            while i <= last and depth > 0 loop
                if piece[i] = '/' and i < last and piece[i + 1] = '*' then
                    depth := depth + 1;
                    i := i + 1;
                elsif piece[i] = '*' and i < last and piece[i + 1] = '/' then
                    depth := depth - 1;
                    i := i + 1;
                end if;
                i := i + 1;
            end loop;
            bare[out] := ' ';
            in_word := false;
        elsif p = '$' and not in_word and i < last
              and (piece[i + 1] = '$'
                   or i + 1 < last and piece[i + 2] = '$' and piece[i + 1] collate "C" ~ '^[^\x01-@\[-^`{-\x7f][^\x01-/:-@\[-^`{-\x7f]*$') then
            tag := case when piece[i + 1] <> '$' then piece[i + 1] end;
            j := i + case when tag is null then 2 else 3 end;
            while j < last and not (piece[j] = '$' and case when tag is null then piece[j + 1] = '$'
                                                       else piece[j + 1] = tag and j + 1 < last and piece[j + 2] = '$' end) loop
                j := j + 1;
            end loop;
            i := j + case when tag is null then 2 else 3 end;
            bare[out] := ' '''' ';
        else
            bare[out] := p;
            continued := in_word;
            -- A number is no name, but letters behind its digits begin one.
            in_word := p = '$' and in_word
                or p collate "C" ~ '(^|[\x01-/:-@\[-^`{-\x7f])[[:digit:]]*[^\x01-@\[-^`{-\x7f][^\x01-/:-@\[-^`{-\x7f]*$'
                or in_word and p collate "C" ~ '^[^\x01-/:-@\[-^`{-\x7f]+$';
            i := i + 1;
        end if;
    end loop;
    return array_to_string(bare, '');
end
$$;
comment on function pglobalxact._bare_sql(text) is
    'Internal. SQL with each literal as '''', each quoted name as "", and without comments.';
revoke all on function pglobalxact._bare_sql(text) from public;
grant execute on function pglobalxact._bare_sql(text) to pglobalxact_user;
