create or replace function pglobalxact._heartbeat(state_bytes bigint, state_sets integer, note text, looked_at timestamptz, queued integer, unwritten integer)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    update pglobalxact.sidecar s
    set seen_at = clock_timestamp(), state_bytes = _heartbeat.state_bytes, state_sets = _heartbeat.state_sets, note = _heartbeat.note,
        looked_at = _heartbeat.looked_at, queued_branches = _heartbeat.queued, unwritten = _heartbeat.unwritten;
    select pglobalxact._tend_events()
$$;
comment on function pglobalxact._heartbeat(bigint, integer, text, timestamptz, integer, integer) is 'Internal. Says that the sidecar lives, and how it is.';
revoke all on function pglobalxact._heartbeat(bigint, integer, text, timestamptz, integer, integer) from public;
