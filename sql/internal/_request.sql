-- One statement in psql, one answer: enters a request on the loopback, waits for the sidecar, returns its result or raises its error.
create or replace function pglobalxact._request(kind text, arguments jsonb)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    answer jsonb := pglobalxact._on_loopback(
        format('select pglobalxact._submit(%L, %L, %L)', kind, arguments, session_user),
        'select pglobalxact._await_request()')::jsonb;
    problem constant jsonb := nullif(answer -> 'error', 'null');
begin
    if problem is not null then
        perform pglobalxact._raise(coalesce(problem ->> 'sqlstate', 'P0001'), problem ->> 'message', problem ->> 'detail', problem ->> 'hint');
    end if;
    return answer -> 'result';
end
$$;
comment on function pglobalxact._request(text, jsonb) is 'Internal. Has the sidecar carry out a request and returns its result.';
revoke all on function pglobalxact._request(text, jsonb) from public;
