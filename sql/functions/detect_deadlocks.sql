-- Whether the sidecar looks for deadlocks by itself. Writes deadlock_watch.
create or replace function pglobalxact.detect_deadlocks(mode text)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if (mode in ('off', 'report', 'resolve')) is not true then
        raise exception '"%" is not a way to deal with deadlocks', mode using errcode = 'invalid_parameter_value',
            hint = 'Give one of: ''off'', ''report'' (into history), ''resolve'' (the youngest set is cancelled, too).';
    end if;
    return pglobalxact._request('detect_deadlocks', jsonb_build_object('mode', mode, 'by', session_user)) ->> 'mode';
end
$$;
comment on function pglobalxact.detect_deadlocks(text) is
    'From now on, over restarts, the sidecar looks for deadlocks over several servers: off (the default; it costs nothing), report (they go into history), or '
    'resolve (the youngest set of each is cancelled, too). Found within 2 x deadlock_timeout. Errors: 22023 another word; 55000 no sidecar runs.';
revoke all on function pglobalxact.detect_deadlocks(text) from public;
grant execute on function pglobalxact.detect_deadlocks(text) to pglobalxact_admin;
