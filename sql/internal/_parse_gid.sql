-- Takes a gid of our form, or a set id, apart. No row for anything else.
create or replace function pglobalxact._parse_gid(gid text)
returns table (coordinator text, xid xid8, nonce text, node integer)
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select m[1], m[2]::xid8, m[3], m[4]::integer
    from regexp_match(gid, '^(?:pgx_([0-9a-f]{8})_)?([1-9][0-9]{0,18})_([0-9a-f]{8})(?:_([1-9][0-9]{0,8}))?$') as m
    where m is not null and ((m[1] is null) = (m[4] is null))
$$;
comment on function pglobalxact._parse_gid(text) is 'Internal. Parts of a gid (pgx_<coordinator>_<xid>_<nonce>_<node>) or of a set id (<xid>_<nonce>).';
revoke all on function pglobalxact._parse_gid(text) from public;
