-- Durable before the mark on the node goes: from then on this is what tells that the node was restored to the point.
create or replace function pglobalxact._reconciled(id text, node integer, timeline text)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    update pglobalxact.restore_point p set reconciled = p.reconciled || jsonb_build_object(_reconciled.node::text, _reconciled.timeline)
    where p.id = _reconciled.id
$$;
comment on function pglobalxact._reconciled(text, integer, text) is 'Internal. A node was found restored to a restore point, on that time line, and is settled.';
revoke all on function pglobalxact._reconciled(text, integer, text) from public;
