create or replace function pglobalxact.feed(node text default null, after pg_lsn default null, most integer default 1000)
returns table (node name, lsn pg_lsn, at timestamptz, event text, set_id text, gid text, changed bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$ select * from pglobalxact._feed($1, $2, $3) $$;
comment on function pglobalxact.feed(text, pg_lsn, integer) is
    'The feed of watched nodes: prepare, commit prepared, rollback prepared, with the position right behind the record in the node''s WAL, the node''s time of it, and for a prepare the number of rows changed. '
    'In the order of the node''s WAL; after: go on behind that position, otherwise the last ones. A line is there once, and none is missing unless a gap says so. Error 42704 for an unknown node.';
revoke all on function pglobalxact.feed(text, pg_lsn, integer) from public;
grant execute on function pglobalxact.feed(text, pg_lsn, integer) to pglobalxact_monitor;
