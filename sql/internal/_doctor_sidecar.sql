-- The sidecar, as the coordinator sees it: what can be said without asking it.
create or replace function pglobalxact._doctor_sidecar(start text)
returns table (key text, found boolean, severity text, place text, finding text, why text, fix text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with seen as (
        select s.*, a.pid is not null as lives, clock_timestamp() - s.seen_at as silence,
               s.home is not null and not exists (select from pglobalxact.home h where h.id = s.home) as stranger
        from (select) one left join pglobalxact.sidecar s on true left join (select min(p.pid) as pid from pglobalxact._sidecar_pid() p) a on true
    )
    select 'sidecar.not_running', not s.lives and not (s.stranger and s.silence < interval '15 seconds'), 'error', 'sidecar',
           case when s.home is null then 'no sidecar has ever run for this coordinator' else 'no sidecar is running' end,
           concat('decided sets wait for it on the nodes, with their locks',
                  format('; the last one (host %s, pid %s) was seen %s ago', s.host, s.pid, date_trunc('second', s.silence))), start
    from seen s
    union all
    select 'sidecar.not_allowed', not s.lives and s.stranger and s.silence < interval '15 seconds', 'error', 'sidecar',
           format('the sidecar on host %s waits: its home %s is not allowed here', s.host, s.home),
           case when t.moved then 'the time line has changed: a failover to this host, or a restored backup whose original may live on. '
                else 'its state directory is new or another coordinator''s, or this database is a copy (clone, restored backup) of one that lives. ' end
           || 'Adopt it only if the old host is gone for good; if this is a copy: npx pglobalxact uninstall',
           'select pglobalxact.adopt(''the old host is gone for good'');'
    from seen s cross join lateral (
        select exists (select from pglobalxact.server_start b where b.started_at = pg_postmaster_start_time()
                       and exists (select from pglobalxact.server_start e where e.timeline <> b.timeline)) as moved) t
    union all
    select 'sidecar.home', s.lives and s.stranger, 'error', 'sidecar', format('the acting home %s is not among the allowed ones', s.home),
           'someone took it off the list: after its next connection it will not act', format('select pglobalxact.allow_home(%L, ''it is the one that acts'');', s.home)
    from seen s
    union all
    select 'sidecar.silent', s.lives and s.silence > interval '30 seconds', 'error', 'sidecar',
           format('the sidecar (host %s, pid %s) has said nothing for %s', s.host, s.pid, date_trunc('second', s.silence)),
           'it holds the lock of the acting one and does not work: stopped, or starved', format('kill -KILL %s && %s', s.pid, start)
    from seen s
$$;
comment on function pglobalxact._doctor_sidecar(text) is 'Internal. What doctor() sees of the sidecar from the coordinator; start is the shell command that starts it.';
revoke all on function pglobalxact._doctor_sidecar(text) from public;
