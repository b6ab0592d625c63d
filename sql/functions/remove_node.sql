create or replace function pglobalxact.remove_node(server text)
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    gone pglobalxact.node := (select n from pglobalxact.node n where n.name = remove_node.server and n.removed_at is null);
    unfinished integer;
begin
    if gone.number is null then
        raise exception 'node "%" does not exist', server using errcode = 'undefined_object', hint = 'See: select * from pglobalxact.nodes();';
    end if;
    select count(*) into unfinished from pglobalxact.open_branch b
    where b.node = gone.number and b.state not in ('committed', 'rolled back', 'unknown', 'lost', 'forced commit', 'forced rollback');
    if unfinished > 0 then
        raise exception 'node "%" has % unfinished branches', server, unfinished using errcode = 'object_in_use',
            hint = 'See: select * from pglobalxact.branches(); wait for them, decide them with force_commit or force_rollback, or, if the node will not come back, lose_node.';
    end if;
    -- Its slot there would keep WAL for ever.
    if exists (select from pglobalxact.watch w where w.node = gone.number) then
        perform pglobalxact._request('unwatch_node', jsonb_build_object('server', server, 'abandon', false, 'by', session_user));
    end if;
    update pglobalxact.node n set removed_at = now() where n.number = gone.number;
    insert into pglobalxact.event (kind, node, detail) values ('node removed', gone.number, '');
    notify pglobalxact;
end
$$;
comment on function pglobalxact.remove_node(text) is
    'Takes a node out of use, from commit on; its foreign server stays, and it is watched no more. Errors: 42704 unknown node, 55006 unfinished branches on it, 55000 it is watched and its slot could not be dropped.';
revoke all on function pglobalxact.remove_node(text) from public;
grant execute on function pglobalxact.remove_node(text) to pglobalxact_admin;
