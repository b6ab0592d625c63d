-- A connection of its own for verifying what a program prepared: nothing is ever left open on it.
create or replace function pglobalxact._connection_for(kind text, node text, role text)
returns text
language sql immutable
return case kind when 'enlist' then 'pgx_verify_' else 'pgx_' end || node || '_' || role;
comment on function pglobalxact._connection_for(text, text, text) is 'Internal. Name of a session''s dblink connection for a branch, by its kind, the number of its node and the oid of its role.';
revoke all on function pglobalxact._connection_for(text, text, text) from public;
