-- One look of drain(), from the loopback: returns as soon as what it sees differs from what is known, else at "until".
create or replace function pglobalxact._drain_look(request bigint, known jsonb, until timestamptz)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    open jsonb;
    seen jsonb;
    pause double precision := 0.005;
begin
    loop
        open := pglobalxact._drain_open();
        -- The pause last: if it still is the same one, it was in effect all the time.
        seen := jsonb_build_object(
            'open', open,
            'since', (select c.paused_at from pglobalxact.coordinator c),
            'sidecar', exists (select from pglobalxact._sidecar_pid()),
            'answer', (select jsonb_build_object('result', q.result, 'error', q.error) from pglobalxact.request q
                       where q.id = _drain_look.request and q.finished_at is not null),
            'trouble', (select jsonb_agg(t.set_id) from (
                select r.xid || '_' || r.nonce as set_id from pglobalxact.commit_record r
                where r.outcome <> 'committed' and r.acknowledged_at is null order by r.xid limit 6) t));
        exit when seen is distinct from known or clock_timestamp() >= until;
        perform pg_sleep(pause);
        pause := least(pause * 1.5, 0.1);
        -- Else pg_stat_activity would show this transaction the same sessions for ever.
        perform pg_stat_clear_snapshot();
    end loop;
    return seen;
end
$$;
comment on function pglobalxact._drain_look(bigint, jsonb, timestamptz) is 'Internal. What drain() waits for, once it has changed, or at a time.';
revoke all on function pglobalxact._drain_look(bigint, jsonb, timestamptz) from public;
grant execute on function pglobalxact._drain_look(bigint, jsonb, timestamptz) to @loopback_role@;
