create or replace function pglobalxact._answer_request(id bigint, result jsonb, error jsonb)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    update pglobalxact.request q set finished_at = clock_timestamp(), result = _answer_request.result, error = _answer_request.error
    where q.id = _answer_request.id
$$;
comment on function pglobalxact._answer_request(bigint, jsonb, jsonb) is 'Internal. The sidecar''s answer to a request.';
revoke all on function pglobalxact._answer_request(bigint, jsonb, jsonb) from public;
