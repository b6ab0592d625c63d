-- The advisory lock classes of pglobalxact (first key of the two-key form), in one place.
-- Advisory locks are open to every role: whoever reads them checks the holder's role too.
create or replace function pglobalxact._lock_key(purpose text)
returns integer
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case purpose
        when 'in flight'  then x'70677831'::int -- shared, per node number: a set with a branch there is open
        when 'committing' then x'70677832'::int -- shared: between the doorbell test and the end of the local commit
        when 'awake'      then x'70677833'::int -- exclusive, the sidecar: polling, no NOTIFY needed
        when 'acting'     then x'70677834'::int -- exclusive, the sidecar: elected on the coordinator
        when 'fence'      then x'70677835'::int -- exclusive, on nodes, per coordinator id: may finish branches
        when 'install'    then x'70677836'::int -- exclusive: one install at a time
    end
$$;
comment on function pglobalxact._lock_key(text) is 'Internal. Class of an advisory lock: in flight, committing, awake, acting, fence, install.';
revoke all on function pglobalxact._lock_key(text) from public;
