-- The work is the sidecar's (sidecar/restorepoints.ts). The manifest is returned, as it must be kept where a restore does not reach it.
create or replace function pglobalxact.create_restore_point(name text, nodes name[] default null, timeout interval default '2 seconds')
returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    answer jsonb;
    unarchived text;
begin
    perform pglobalxact._check_hold(timeout, 'select pglobalxact.create_restore_point(''friday'', timeout => ''500 ms'');');
    if (octet_length(create_restore_point.name) between 1 and 63) is not true or create_restore_point.name ~ '[[:cntrl:]]' then
        raise exception 'the name of a restore point has 1 to 63 bytes, on one line' using errcode = 'invalid_parameter_value',
            hint = 'For example: select pglobalxact.create_restore_point(to_char(now(), ''"nightly "YYYY-MM-DD'') );';
    elsif exists (select from pglobalxact.restore_point p where p.name = create_restore_point.name) then
        perform pglobalxact._refuse_point_name(create_restore_point.name);
    end if;
    answer := pglobalxact._request('create_restore_point', jsonb_build_object('name', create_restore_point.name, 'nodes', nodes,
        'by', session_user, 'timeout', floor(extract(epoch from timeout) * 1000)));
    perform pglobalxact._notice_not_whole('whole at this restore point');
    select string_agg(s ->> 'node', ', ') into unarchived from jsonb_array_elements(answer -> 'servers') s where not (s ->> 'archiving')::boolean;
    if unarchived is not null then
        raise notice 'archive_mode is off on: %', unarchived
            using hint = 'Nothing can be restored to this point there, unless something else keeps the WAL (pg_receivewal).';
    end if;
    return answer;
end
$$;
comment on function pglobalxact.create_restore_point(text, name[], interval) is
    'Writes a restore point of that name on this server and those of the nodes, at one moment between two sets, for recovery_target_name. Returns its manifest: keep it away from these servers, reconcile(manifest) needs it. '
    'Commits of sets are held meanwhile, for timeout at most (held_ms says how long). The sidecar''s role needs EXECUTE on pg_create_restore_point(text) on every server. '
    'Errors: 42501 it has not; 42710 the name was used before; 55000 a node is away, or has a branch that cannot be finished (leave it out with nodes), or no sidecar; 55P03 a session stays in its commit; 57014 not settled in time; 42704 unknown node; 22023 bad name or limit.';
revoke all on function pglobalxact.create_restore_point(text, name[], interval) from public;
grant execute on function pglobalxact.create_restore_point(text, name[], interval) to pglobalxact_admin;
