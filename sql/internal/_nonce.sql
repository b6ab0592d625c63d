-- The nonce of a set id: ties an xid to this coordinator and to one start of its server. (Small functions on the commit path have
-- SQL-standard bodies and no SET: names are resolved when they are made, and the planner writes them into the caller.)
create or replace function pglobalxact._nonce(coordinator text, xid xid8, started_at timestamptz)
returns text
language sql stable parallel safe
return left(encode(sha256(convert_to(
               coordinator || ' ' || xid::text || ' ' || (extract(epoch from started_at) * 1000000)::bigint::text,
               'UTF8')), 'hex'), 8);
comment on function pglobalxact._nonce(text, xid8, timestamptz) is
    'Internal. First 8 hex digits of SHA-256 over coordinator id, xid and server start: keeps an xid handed out twice from naming two sets.';
revoke all on function pglobalxact._nonce(text, xid8, timestamptz) from public;
