create or replace function pglobalxact._drill_begin(id bigint, request bigint, point text, node name, canary text, set_id text, expected text)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into pglobalxact.drill (id, request, asked_by, point, node, canary, set_id, expected)
    select _drill_begin.id, q.id, q.requested_by, point, node, canary, set_id, expected from pglobalxact.request q where q.id = request
$$;
comment on function pglobalxact._drill_begin(bigint, bigint, text, name, text, text, text) is 'Internal. Enters a drill whose canary set is about to meet its fault.';
revoke all on function pglobalxact._drill_begin(bigint, bigint, text, name, text, text, text) from public;
