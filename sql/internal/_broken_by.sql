create or replace function pglobalxact._broken_by(state text)
returns text
language sql immutable parallel safe
return case state
    when '26000' then 'The session there was told DEALLOCATE ALL, or a connection pooler changed sessions in the middle of the transaction.'
    else 'Work done there was undone here (ROLLBACK TO SAVEPOINT, or an exception caught after it), or the remote transaction ended or failed by itself.' end;
comment on function pglobalxact._broken_by(text) is 'Internal. What may have broken a branch, as the DETAIL of an error with exec or COMMIT.';
revoke all on function pglobalxact._broken_by(text) from public;
grant execute on function pglobalxact._broken_by(text) to pglobalxact_user;
