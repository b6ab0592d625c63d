create or replace function pglobalxact.requests()
returns table (id bigint, kind text, requested_by name, requested_at timestamptz, took interval, arguments jsonb, answer text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select q.id, q.kind, q.requested_by, date_trunc('second', q.requested_at), q.finished_at - q.requested_at, q.arguments,
           case when q.finished_at is null then 'not answered' when q.error is null then 'done' else q.error ->> 'message' end
    from pglobalxact.request q order by q.id desc limit 100
$$;
comment on function pglobalxact.requests() is 'The last 100 requests to the sidecar, the newest first: who asked for what, when, and the answer.';
revoke all on function pglobalxact.requests() from public;
grant execute on function pglobalxact.requests() to pglobalxact_monitor;
