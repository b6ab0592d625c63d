-- What tables look like, and which branches are prepared. $1: gids; $2, $3: schemas and names of tables.
-- A table that a branch has locked exclusively it may have altered, and then it is to others what it was before.
-- altered_by: the newest transaction that wrote what is read here. A row's xmin has 32 bits, and is of the last 2^32 transactions; were it
-- older, it would pass for newer, which proves less.
with next as (
    select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xid
), shape as (
    select n.nspname as schema, c.relname as "table", c.relreplident as identity,
           (select jsonb_agg(jsonb_build_object('name', a.attname, 'generated', a.attgenerated <> '', 'key', a.attnum = any (k.indkey)) order by a.attnum)
            from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
           (select max(case when w.xid < 3 then 0 else next.xid - ((next.xid - w.xid) & 4294967295) end)
            from (select c.xmin::text::bigint
                  union all select a.xmin::text::bigint from pg_catalog.pg_attribute a where a.attrelid = c.oid
                  union all select i.xmin::text::bigint from pg_catalog.pg_index i where i.indrelid = c.oid) as w (xid)) as altered_by
    from unnest($2::text[], $3::text[]) as t (schema, name)
    join pg_catalog.pg_namespace n on n.nspname = t.schema
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name
    cross join next
    cross join lateral (
        select coalesce((select i.indkey::int2[] from pg_catalog.pg_index i
                         where i.indrelid = c.oid and case c.relreplident when 'd' then i.indisprimary and i.indimmediate when 'i' then i.indisreplident end), '{}') as indkey
    ) k
), branch as (
    select p.gid, (select jsonb_agg(jsonb_build_object('schema', n.nspname, 'table', c.relname))
                   from pg_catalog.pg_locks x
                   join pg_catalog.pg_locks l on l.virtualtransaction = x.virtualtransaction and l.pid is null
                   join pg_catalog.pg_class c on c.oid = l.relation
                   join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                   where x.locktype = 'transactionid' and x.transactionid = p.transaction and x.pid is null and x.granted
                     and l.locktype = 'relation' and l.mode = 'AccessExclusiveLock') as altered
    from pg_catalog.pg_prepared_xacts p
    where p.gid = any ($1::text[]) and p.database = current_database()
)
select (select n.xid from next n)::float8 as next, (select jsonb_agg(to_jsonb(s)) from shape s) as shapes, (select jsonb_agg(to_jsonb(b)) from branch b) as prepared
