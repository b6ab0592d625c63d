create or replace function pglobalxact._where_to_ask(told text, address text)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when m is not null then format('host %s%s%s, database %s', m[1],
            case when address is not null and address !~ '^(127\.|::1)' and address <> m[1] then format(' (%s)', address) else '' end,
            case when m[2] is not null then ', port ' || m[2] else '' end, m[3])
        when address is not null then 'host ' || address
        else 'host unknown: its sidecar has not been seen here' end
    from (select regexp_match(told, '^(.+?)(?::([0-9]+))?/(.+)$') as m) one
$$;
comment on function pglobalxact._where_to_ask(text, text) is 'Internal. Host and database of a coordinator in words, from what its sidecar told and the address it came from.';
revoke all on function pglobalxact._where_to_ask(text, text) from public;
