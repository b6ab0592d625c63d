-- What watched nodes prepared and finished. Lines come in the order of a node's WAL; another node's positions say nothing about it.
create or replace function pglobalxact._feed(of_node text, after pg_lsn, most integer)
returns table (node name, lsn pg_lsn, at timestamptz, event text, set_id text, gid text, changed bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    own constant text := (select c.id from pglobalxact.coordinator c);
begin
    perform pglobalxact._require_node(of_node, 'watched');
    return query
    select n.name, e.lsn, e.at, e.kind, case when g.coordinator = own then g.xid || '_' || g.nonce end, nullif(e.gid, ''), e.rows
    from pglobalxact.node n
    cross join lateral (
        -- Without a place to go on from, the last ones.
        select l.* from (select d.* from pglobalxact.decoded_event d where $2 is not null and d.node = n.number and d.lsn > $2 order by d.lsn limit $3) l
        union all
        select l.* from (select d.* from pglobalxact.decoded_event d where $2 is null and d.node = n.number order by d.lsn desc limit $3) l
    ) e
    left join pglobalxact._parse_gid(e.gid) g on true
    where of_node is null or n.name = of_node
    order by n.name, e.lsn, e.kind
    limit $3;
end
$$;
comment on function pglobalxact._feed(text, pg_lsn, integer) is 'Internal. The feed of watched nodes.';
revoke all on function pglobalxact._feed(text, pg_lsn, integer) from public;
