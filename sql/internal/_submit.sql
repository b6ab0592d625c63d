-- Enters a request and wakes the sidecar. Runs on the loopback, so that it is committed whatever the caller does.
create or replace function pglobalxact._submit(kind text, arguments jsonb, requested_by name)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    last pglobalxact.sidecar;
    number bigint;
begin
    if not exists (select from pglobalxact._sidecar_pid()) then
        select * into last from pglobalxact.sidecar;
        raise exception 'no sidecar is running for this coordinator: nothing was done'
            using errcode = 'object_not_in_prerequisite_state',
                  detail = case when last.home is null then 'None has ever connected to this database.'
                           when last.acting then format('The last one (host %s, pid %s) was seen %s ago.', last.host, last.pid,
                                                        date_trunc('second', clock_timestamp() - last.seen_at))
                           else format('The last one to connect (host %s, pid %s) does not act: %s.', last.host, last.pid, replace(last.note, E'\n', ' ')) end,
                  hint = case when last.home is null or last.acting then 'Start it next to this server: npx pglobalxact run --state-dir DIR'
                          else 'It may be waiting for you: select sidecar, note from pglobalxact.status();' end;
    end if;
    insert into pglobalxact.request (kind, arguments, requested_by) values (kind, arguments, requested_by) returning id into number;
    notify pglobalxact;
    return number::text;
end
$$;
comment on function pglobalxact._submit(text, jsonb, name) is 'Internal. Enters a request of a DBA; ERROR 55000 when no sidecar runs.';
revoke all on function pglobalxact._submit(text, jsonb, name) from public;
grant execute on function pglobalxact._submit(text, jsonb, name) to @loopback_role@;
