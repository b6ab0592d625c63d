-- What a sidecar says of itself in the application_name of its sessions (sidecar/fence.ts): pgx_<coordinator>_sidecar_<…> <host>/<database>.
-- Any session may call itself so: it is a hint for people, and nothing else.
create or replace function pglobalxact._peer_of(application_name text)
returns table (coordinator text, told text)
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select m[1], coalesce(m[2], '')
    from regexp_match(application_name, '^pgx_([0-9a-f]{8})_sidecar_[0-9a-f]+_[0-9]+_[0-9a-f]{8}(?: (.+))?$') m
    where m is not null
$$;
comment on function pglobalxact._peer_of(text) is 'Internal. The coordinator that a session named so acts for, and where it says that one is: host[:port]/database.';
revoke all on function pglobalxact._peer_of(text) from public;
