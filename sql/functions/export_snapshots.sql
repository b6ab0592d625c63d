-- The work is the sidecar's (sidecar/snapshots.ts): it holds the snapshots on connections of its own, so they neither hang on the caller's
-- session nor need rights of the caller on the nodes.
create or replace function pglobalxact.export_snapshots(nodes name[] default null, timeout interval default '2 seconds', keep interval default '15 minutes')
returns table (export bigint, node text, snapshot text, held interval, expires_at timestamptz)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    answer jsonb;
begin
    perform pglobalxact._check_hold(timeout, 'select * from pglobalxact.export_snapshots(timeout => ''500 ms'');');
    if (keep between interval '1 second' and interval '1 day') is not true then
        raise exception 'keep must lie between 1 second and 1 day' using errcode = 'invalid_parameter_value',
            detail = 'It is how long the snapshots are held unless they are released before: they hold back vacuum on all servers.',
            hint = 'For example: select * from pglobalxact.export_snapshots(keep => ''1 hour'');';
    end if;
    answer := pglobalxact._request('export_snapshots', jsonb_build_object('nodes', nodes,
        'timeout', floor(extract(epoch from timeout) * 1000), 'keep', floor(extract(epoch from keep) * 1000)));
    perform pglobalxact._notice_not_whole('in all of these snapshots');
    return query select (answer ->> 'export')::bigint, s.node, s.snapshot, (answer ->> 'held_ms')::double precision * interval '1 ms', (answer ->> 'expires_at')::timestamptz
    from jsonb_to_recordset(answer -> 'snapshots') as s (node text, snapshot text);
end
$$;
comment on function pglobalxact.export_snapshots(name[], interval, interval) is
    'One moment of many servers: a row each for this database ("(coordinator)") and its nodes, with an id for SET TRANSACTION SNAPSHOT or pg_dump --snapshot there. Each set is in all of them or in none. '
    'Commits of sets are held while it is taken, for timeout at most (held says how long); nothing else is. The sidecar holds the snapshots until release_snapshots(), for keep at most. '
    'Errors: 55000 a node is away, or has a branch that cannot be finished (leave it out with nodes), or no sidecar; 55P03 a session stays in its commit; 57014 not settled in time; 42704 unknown node; 22023 bad limits.';
revoke all on function pglobalxact.export_snapshots(name[], interval, interval) from public;
grant execute on function pglobalxact.export_snapshots(name[], interval, interval) to pglobalxact_admin;
