-- May a set of another time line have run under an xid that was not yet handed out where this server's own time line begins? Then the xid
-- says nothing of it here: it is another transaction's, or nobody's. Starts are put in order by first_xid, which only grows on the way
-- from one to the next: their times come from the clocks of several hosts, and a standby runs since before it is promoted, often
-- since before the last start of the primary that it takes over from.
create or replace function pglobalxact._left_behind(xid xid8, started pglobalxact.server_start)
returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select not exists (select from pglobalxact.server_start n where n.timeline <> started.timeline and n.first_xid > started.first_xid)
        or exists (select from pglobalxact.server_start n
                   where n.timeline <> started.timeline and n.first_xid > started.first_xid and n.first_xid <= _left_behind.xid)
$$;
comment on function pglobalxact._left_behind(xid8, pglobalxact.server_start) is
    'Internal. Whether nothing is known here of an xid that another time line handed out in that start. Not to be asked for a start on the present one.';
revoke all on function pglobalxact._left_behind(xid8, pglobalxact.server_start) from public;
