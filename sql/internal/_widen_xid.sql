-- pg_prepared_xacts shows 32 bits of an xid; the next xid to be handed out on that node supplies the rest: a prepared
-- transaction lies less than 2^31 xids behind it.
create or replace function pglobalxact._widen_xid(short text, next_xid text)
returns xid8
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select ((case when short::bigint <= (next_xid::numeric % 4294967296) then trunc(next_xid::numeric / 4294967296)
                  else trunc(next_xid::numeric / 4294967296) - 1 end) * 4294967296 + short::bigint)::text::xid8
$$;
comment on function pglobalxact._widen_xid(text, text) is 'Internal. The xid8 of a 32-bit xid, given a later xid8 of the same server.';
revoke all on function pglobalxact._widen_xid(text, text) from public;
