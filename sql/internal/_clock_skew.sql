-- A test puts other clocks in the place of the machine's, which all servers of a test share. That takes the function's owner or a superuser.
create or replace function pglobalxact._clock_skew(node integer)
returns bigint
language sql immutable
return 0::bigint;
comment on function pglobalxact._clock_skew(integer) is 'Internal. Microseconds to add to a node''s clock; of this server''s own, for null. None, except in tests.';
revoke all on function pglobalxact._clock_skew(integer) from public;
