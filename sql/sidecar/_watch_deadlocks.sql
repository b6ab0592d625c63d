-- With a mode: from now on that one, by order of this person. What is in effect either way.
create or replace function pglobalxact._watch_deadlocks(mode text default null, by name default null)
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    before constant text := (select w.mode from pglobalxact.deadlock_watch w);
begin
    if _watch_deadlocks.mode is null then
        return before;
    end if;
    update pglobalxact.deadlock_watch w set mode = _watch_deadlocks.mode, set_by = _watch_deadlocks.by, set_at = clock_timestamp();
    return _watch_deadlocks.mode;
end
$$;
comment on function pglobalxact._watch_deadlocks(text, name) is 'Internal. Sets what is to be done about deadlocks over several servers, if a mode is given; returns it.';
revoke all on function pglobalxact._watch_deadlocks(text, name) from public;
