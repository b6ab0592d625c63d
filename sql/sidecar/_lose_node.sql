-- From now on nobody waits for the node, and no new set may use it. Branches of sets without a commit record need nothing more:
-- should the node return, they are rolled back; so they leave the books at once.
create or replace function pglobalxact._lose_node(number integer, who name, reason text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update pglobalxact.node n set lost_at = clock_timestamp(), lost_by = who, lost_reason = reason where n.number = _lose_node.number;
    update pglobalxact.branch_status s set forgotten = true where s.node = _lose_node.number and s.decision <> 'commit';
    insert into pglobalxact.event (kind, node, who, detail) values ('node lost', number, who, reason);
end
$$;
comment on function pglobalxact._lose_node(integer, name, text) is 'Internal. Declares a node lost.';
revoke all on function pglobalxact._lose_node(integer, name, text) from public;
