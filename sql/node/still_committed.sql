-- Whether branches that were committed here on another time line still are. $1: their xid8s, $2: their gids, in the same order.
-- "aborted" and "future" prove that they are not, whoever has the xid now; "committed" may be another transaction's.
select b.gid, b.xid,
       case when b.xid::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) then 'future' else pg_xact_status(b.xid::xid8) end as status,
       exists (select from pg_catalog.pg_prepared_xacts p where p.gid = b.gid) as prepared
from unnest($1::text[], $2::text[]) as b (xid, gid)
