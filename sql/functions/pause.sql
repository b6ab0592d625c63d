create or replace function pglobalxact.pause(reason text)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    pause jsonb;
begin
    perform pglobalxact._require_reason(reason, 'select pglobalxact.pause(''upgrade to 18, ticket 4711'');');
    pause := pglobalxact._on_loopback(format('select pglobalxact._begin_pause(%L, %L)', session_user, reason));
    if not (pause ->> 'begins')::boolean then
        raise notice 'already paused since %: % (by %)',
            date_trunc('second', (pause ->> 'since')::timestamptz), pause ->> 'reason', pause ->> 'by';
    end if;
    return (pause ->> 'begins')::boolean;
end
$$;
comment on function pglobalxact.pause(text) is
    'From now on no new set may begin, whatever the caller''s transaction does; sets that are open go on to their end, and so does recovery. Outlives restarts. '
    'True when it begins a pause, false (and a NOTICE) when one is in effect already. Needs no sidecar. Error 22023 no reason.';
revoke all on function pglobalxact.pause(text) from public;
grant execute on function pglobalxact.pause(text) to pglobalxact_admin;
