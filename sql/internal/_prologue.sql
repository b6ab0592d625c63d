-- What goes before a statement on the node, in the same round trip: opens the branch, or checks and counts its step
-- (the statements are those of _node_statements).
create or replace function pglobalxact._prologue(gid text, step integer, fresh boolean)
returns text
language sql stable
return case when fresh
    then 'begin isolation level ' || current_setting('transaction_isolation') || '; execute pglobalxact_open(''' || gid || '''); '
    else 'execute pglobalxact_step(''' || gid || ''', ''' || step - 1 || ''', ''' || step || '''); ' end;
comment on function pglobalxact._prologue(text, integer, boolean) is 'Internal. SQL that opens a branch on a node, or checks and counts its step.';
revoke all on function pglobalxact._prologue(text, integer, boolean) from public;
grant execute on function pglobalxact._prologue(text, integer, boolean) to pglobalxact_user;
