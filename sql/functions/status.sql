create or replace function pglobalxact.status()
returns table (sidecar text, note text, running_for interval, last_seen interval, host text, pid integer, version text,
               home text, state_directory text, state_sets integer, state_bytes bigint, coordinator text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select case when exists (select from pglobalxact._sidecar_pid()) then 'acting'
                when s.home is null then 'never started'
                when not s.acting and s.seen_at > clock_timestamp() - interval '15 seconds' then 'waiting'
                else 'not running' end,
           case when s.acting and not exists (select from pglobalxact._sidecar_pid())
                then 'decided sets wait, and are safe: start it with npx pglobalxact run --state-dir DIR' else s.note end,
           date_trunc('second', clock_timestamp() - s.started_at), date_trunc('second', clock_timestamp() - s.seen_at),
           s.host, s.pid, s.version, s.home, s.state_directory, s.state_sets, s.state_bytes, c.id
    from pglobalxact.coordinator c left join pglobalxact.sidecar s on true
$$;
comment on function pglobalxact.status() is
    'The sidecar: acting, waiting (note says for what), not running, or never started; where it runs, its state directory (sets and bytes in it), and this coordinator''s id.';
revoke all on function pglobalxact.status() from public;
grant execute on function pglobalxact.status() to pglobalxact_monitor;
