-- The slow way to a commit, where the lock "committing" was not to be had at once. Whoever holds it alone is the sidecar about to sleep
-- (for an instant), a gate, or a stranger: any role can take an advisory lock. The table's lock nobody can take who has no
-- rights here, so it tells the gate from the others: it is granted at once, unless the gate is closed. It lasts, like "committing", until the
-- local commit is visible, and so stands for it where a gate looks who is committing (the argument stands at pglobalxact._close_gate).
-- A gate is closed for seconds at most, and opened by the server if its sidecar is not heard of: who waits here for longer waits for a person's LOCK TABLE.
create or replace function pglobalxact._pass_gate()
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp set lock_timeout = '60s'
as $$
begin
    lock table pglobalxact.gate in row share mode;
exception when lock_not_available then
    raise exception 'set rolled back: its commit was held for too long'
        using errcode = 'lock_not_available', detail = 'Another session has locked table pglobalxact.gate.',
              hint = 'See who: select pid from pg_locks where relation = ''pglobalxact.gate''::regclass; then run the transaction again.';
end
$$;
comment on function pglobalxact._pass_gate() is 'Internal. Waits while a gate holds up commits of sets.';
revoke all on function pglobalxact._pass_gate() from public;
