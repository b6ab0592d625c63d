-- What a record says of one of its branches; "to be …": decided, and not known to be carried out.
create or replace function pglobalxact._record_says(fate text, complete boolean, outcome text, ordered text)
returns text
language sql immutable
return case
    when fate in ('committed', 'rolled back', 'unknown') then fate
    when fate = 'forced rollback' or fate is null and not complete and ordered = 'rollback' then 'to be rolled back'
    when fate in ('forced commit', 'lost') or fate is null and not complete then 'to be committed'
    when outcome = 'committed' then 'committed'
    else 'unknown' end;
comment on function pglobalxact._record_says(text, boolean, text, text) is
    'Internal. What the records say became of a branch: committed, rolled back, unknown, to be committed, or to be rolled back.';
revoke all on function pglobalxact._record_says(text, boolean, text, text) from public;
