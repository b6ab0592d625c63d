-- The lowest xid of a set's branch on a node's present time line: no branch of another time line with that xid or a later one was known
-- to the server that was promoted, as it handed that one out itself. Null when no set has been there yet. Not those of programs: one that
-- was prepared before the promotion may have been enlisted, and seen on the present time line, after it.
create or replace function pglobalxact._first_xid_there(on_node integer, here text)
returns xid8
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select b.branch_xid from pglobalxact.branch_record b
    where b.node = on_node and b.timeline = here and b.kind <> 'enlist' and b.branch_xid is not null
      and exists (select from pglobalxact.node_status s where s.node = on_node and s.timeline <> here)
    order by b.branch_xid limit 1
$$;
comment on function pglobalxact._first_xid_there(integer, text) is 'Internal. From which xid on a node whose time line changed has handed them out anew, as far as sets tell.';
revoke all on function pglobalxact._first_xid_there(integer, text) from public;
