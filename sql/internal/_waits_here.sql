-- What the nodes are asked (sql/node/waits.sql), asked here. (In PL/pgSQL, which keeps the plan.)
create or replace function pglobalxact._waits_here(everything boolean, pids integer[])
returns table (server text, busy boolean, waits jsonb, sessions jsonb)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
@node:waits@;
end
$$;
comment on function pglobalxact._waits_here(boolean, integer[]) is
    'Internal. Who waits for whose lock on this server: in any case, or only if one of these sessions or some branch waits.';
revoke all on function pglobalxact._waits_here(boolean, integer[]) from public;
