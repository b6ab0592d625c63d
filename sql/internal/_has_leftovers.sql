create or replace function pglobalxact._has_leftovers(gid text, connection text)
returns boolean
language sql volatile
return ' ' || array_to_string(array_remove(@extschema:dblink@.dblink_get_connections(), connection), ' ')
       like '% pgx\_' || split_part(gid, '_', 5) || '\_%';
comment on function pglobalxact._has_leftovers(text, text) is 'Internal. Whether _end_leftovers has anything to look at.';
revoke all on function pglobalxact._has_leftovers(text, text) from public;
grant execute on function pglobalxact._has_leftovers(text, text) to pglobalxact_user;
