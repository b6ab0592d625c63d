-- The advisory lock classes of pglobalxact (first key of the two-key form), in one place.
-- Advisory locks are open to every role: whoever reads them checks the holder's role too, and where somebody squats on a
-- lock that must be had, one of three spare classes serves.
create or replace function pglobalxact._lock_key(purpose text, spare integer default 0)
returns integer
language sql immutable parallel safe
return spare * 16 + case purpose
        when 'in flight'  then x'70677831'::int -- shared, per node number: a set with a branch there is open
        when 'committing' then x'70677832'::int -- shared: between the doorbell test and the end of the local commit
        when 'awake'      then x'70677833'::int -- exclusive, the sidecar: polling, no NOTIFY needed
        when 'acting'     then x'70677834'::int -- exclusive, the sidecar: elected on the coordinator
        when 'fence'      then x'70677835'::int -- exclusive, on nodes, per coordinator id: may finish branches
        when 'install'    then x'70677836'::int -- exclusive: one install at a time
        when 'deadlock'   then x'7067783d'::int -- exclusive, the sidecar, per set: its statement is cancelled to end a deadlock
    end;
comment on function pglobalxact._lock_key(text, integer) is 'Internal. Class of an advisory lock: in flight, committing, awake, acting, fence, install, deadlock; spare 0 to 3.';
revoke all on function pglobalxact._lock_key(text, integer) from public;
grant execute on function pglobalxact._lock_key(text, integer) to pglobalxact_user;
