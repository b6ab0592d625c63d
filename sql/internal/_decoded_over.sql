-- With a commit record its set is off the books when that says so. Without one the decision is a rollback once the local transaction is
-- finished: a branch that followed it is over, one that was committed all the same is not.
create or replace function pglobalxact._decoded_over(xid xid8, nonce text, fate text)
returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select r.complete_at is not null and (r.outcome = 'committed' or r.acknowledged_at is not null)
         from pglobalxact.commit_record r where r.xid = $1 and r.nonce = $2),
        $3 = 'rolled back' and pg_visible_in_snapshot($1, pg_current_snapshot()))
$$;
comment on function pglobalxact._decoded_over(xid8, text, text) is 'Internal. Whether what a finished branch changed need not be known any more.';
revoke all on function pglobalxact._decoded_over(xid8, text, text) from public;
