-- What is known here of the xids of branches that were committed here on another time line. $1: their xid8s, $2: their gids, in the same
-- order. To be read after what is prepared.
select b.gid, b.xid,
       case when b.xid::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) then 'open' else pg_xact_status(b.xid::xid8) end as status
from unnest($1::text[], $2::text[]) as b (xid, gid)
