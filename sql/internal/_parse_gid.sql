-- Takes a gid of our form, or a set id, apart. No row for anything else. This runs for every branch in doubt, so it uses no
-- regular expression (0.1 ms each), and PL/pgSQL, whose order of evaluation keeps the casts behind the checks.
create or replace function pglobalxact._parse_gid(gid text)
returns table (coordinator text, xid xid8, nonce text, node integer)
language plpgsql immutable parallel safe rows 1
set search_path = pg_catalog, pg_temp
as $$
declare
    part text[] := string_to_array(gid, '_');
    number text;
begin
    if cardinality(part) = 5 and part[1] = 'pgx' then
        coordinator := part[2];
        number := part[5];
        part := part[3:4];
    elsif cardinality(part) is distinct from 2 then
        return;
    end if;
    if length(part[1]) not between 1 and 19 or translate(part[1], '0123456789', '') <> '' or left(part[1], 1) = '0'
       or length(part[2]) <> 8 or translate(part[2], '0123456789abcdef', '') <> ''
       or length(coordinator) <> 8 or translate(coordinator, '0123456789abcdef', '') <> ''
       or length(number) not between 1 and 9 or translate(number, '0123456789', '') <> '' or left(number, 1) = '0' then
        return;
    end if;
    xid := part[1]::xid8;
    nonce := part[2];
    node := number::integer;
    return next;
end
$$;
comment on function pglobalxact._parse_gid(text) is 'Internal. Parts of a gid (pgx_<coordinator>_<xid>_<nonce>_<node>) or of a set id (<xid>_<nonce>).';
revoke all on function pglobalxact._parse_gid(text) from public;
