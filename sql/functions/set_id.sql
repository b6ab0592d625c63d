-- Volatile: it sees what an exec before it in the same SELECT has written.
create or replace function pglobalxact.set_id()
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    own constant text := pglobalxact._own_set_id();
begin
    if own is null and (select s.last_value from pglobalxact.pause_switch s) <> 0 then
        perform pglobalxact._refuse_paused();
    end if;
    return own;
end
$$;
comment on function pglobalxact.set_id() is
    'Id of the current transaction''s set, null before its first exec, query or enlist. Keep it before COMMIT: after a lost connection, outcome(set_id) tells what became of it. '
    'Error 55000 without a set while pglobalxact is paused: it cannot get one.';
revoke all on function pglobalxact.set_id() from public;
grant execute on function pglobalxact.set_id() to pglobalxact_user;
