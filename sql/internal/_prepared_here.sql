-- What the nodes are asked (sql/node/prepared.sql), asked here.
create or replace function pglobalxact._prepared_here(most integer)
returns table (server text, database text, totals jsonb, prepared jsonb, sidecars jsonb)
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
@node:prepared@
$$;
comment on function pglobalxact._prepared_here(integer) is
    'Internal. Prepared transactions of this server, up to "most" of this database and as many of others, with what they block.';
revoke all on function pglobalxact._prepared_here(integer) from public;
