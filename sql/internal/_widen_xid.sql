-- pg_prepared_xacts and pg_stat_activity show 32 bits of an xid; an xid8 of about the same time on that server supplies the rest:
-- what is open lies less than 2^31 xids from it. On either side: the xmax of a snapshot is the one behind the latest
-- COMPLETED transaction, so those that are open may have it or later ones.
create or replace function pglobalxact._widen_xid(short text, near text)
returns xid8
language sql immutable
return (near::bigint + (short::bigint - near::bigint % 4294967296 + 6442450944) % 4294967296 - 2147483648)::text::xid8;
comment on function pglobalxact._widen_xid(text, text) is 'Internal. The xid8 of a 32-bit xid: the one nearest to a given xid8 of the same server.';
revoke all on function pglobalxact._widen_xid(text, text) from public;
