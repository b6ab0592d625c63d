-- What is sent to a node at the local commit, for one branch (the statements are those of _node_statements). exec: an error in the
-- check keeps PREPARE from running. query: the check alone, to see whether the branch wrote.
create or replace function pglobalxact._prepare_text(kind text, gid text, step text)
returns text
language sql stable
return case kind
    when 'enlist' then 'execute pglobalxact_verify(''' || gid || ''')'
    when 'query' then 'execute pglobalxact_look(''' || gid || ''', ''' || step || ''')'
    else 'execute pglobalxact_check(''' || gid || ''', ''' || step || '''); prepare transaction ''' || gid || '''' end;
comment on function pglobalxact._prepare_text(text, text, text) is 'Internal. SQL sent to a node to prepare a branch.';
revoke all on function pglobalxact._prepare_text(text, text, text) from public;
