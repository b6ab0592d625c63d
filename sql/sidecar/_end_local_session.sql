-- For a forced rollback of a running set: ends the local session, if it still is in that very set.
create or replace function pglobalxact._end_local_session(set_id text)
returns boolean
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(bool_or(pg_terminate_backend(f.pid)), false)
    from (select distinct i.pid from pglobalxact.in_flight i where i.set_id = _end_local_session.set_id) f
$$;
comment on function pglobalxact._end_local_session(text) is 'Internal. Ends the session of a running set.';
revoke all on function pglobalxact._end_local_session(text) from public;
