-- Only text that is empty, that begins with a comment, or that holds a word of transaction control or COPY, is worth taking apart.
create or replace function pglobalxact._is_suspect(sql text)
returns boolean
language sql immutable
return sql is null or sql collate "C" ~* '\m(begin|start|commit|end|rollback|abort|savepoint|release|prepare|stdin|stdout)\M|^[\s;]*(--|/\*|$)';
comment on function pglobalxact._is_suspect(text) is 'Internal. Whether SQL for a node could hold what exec and query cannot carry.';
revoke all on function pglobalxact._is_suspect(text) from public;
grant execute on function pglobalxact._is_suspect(text) to pglobalxact_user;
