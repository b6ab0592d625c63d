-- Requests that an earlier sidecar took and did not answer: their callers are told that nobody knows how far it got.
create or replace function pglobalxact._close_requests()
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    update pglobalxact.request q set finished_at = clock_timestamp(), error = jsonb_build_object('sqlstate', '55000',
        'message', 'the sidecar was restarted before it answered', 'hint', 'Look with pglobalxact.sets() and ask again if needed.')
    where q.finished_at is null and q.taken_at is not null
$$;
comment on function pglobalxact._close_requests() is 'Internal. Answers requests that died with an earlier sidecar.';
revoke all on function pglobalxact._close_requests() from public;
