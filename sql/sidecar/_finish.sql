-- Results of phase two: fates of branches whose set is not complete, and sets that are. A set that went wrong brings the
-- detail of its event along: outcome, event and alert are committed together. What a sidecar that was killed did not see
-- answered, the next one tells again; that makes no second event.
create or replace function pglobalxact._finish(fates jsonb, completes jsonb)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    wanted constant boolean := pglobalxact._event_wanted();
begin
    if jsonb_array_length(fates) > 0 then
        with told as (
            update pglobalxact.branch_record b set fate = f.fate, finished_at = f.at
            from jsonb_to_recordset(fates) as f (xid xid8, nonce text, node integer, fate text, at timestamptz)
            where b.xid = f.xid and b.nonce = f.nonce and b.node = f.node and (b.fate is null or b.fate like 'forced %' or b.fate = 'lost')
            returning b.xid, b.nonce, b.node, b.fate, b.finished_at
        )
        insert into pglobalxact.set_event (at, kind, set_id, node, detail)
        select t.finished_at, 'branch finished', t.xid || '_' || t.nonce, t.node, t.fate from told t where wanted;
        -- What has a fate is waited for no more: sets() must not show it until the node's next look.
        delete from pglobalxact.branch_status s
        using jsonb_to_recordset(fates) as f (xid xid8, nonce text, node integer), pglobalxact.coordinator c
        where s.gid = 'pgx_' || c.id || '_' || f.xid || '_' || f.nonce || '_' || f.node;
    end if;
    if jsonb_array_length(fates) > 0 then
        -- A node that was given up has come back: what was unknown is known now.
        with changed as (
            update pglobalxact.commit_record r set outcome = now.outcome
            from (select b.xid, b.nonce, case when bool_or(b.fate in ('rolled back', 'forced rollback')) then 'mixed'
                                              when bool_or(b.fate in ('unknown', 'lost')) then 'unknown' else 'committed' end as outcome
                  from pglobalxact.branch_record b
                  where (b.xid, b.nonce) in (select f.xid, f.nonce from jsonb_to_recordset(fates) as f (xid xid8, nonce text))
                  group by b.xid, b.nonce) now
            where r.xid = now.xid and r.nonce = now.nonce and r.outcome = 'unknown' and now.outcome <> 'unknown'
            returning r.xid, r.nonce, r.outcome
        )
        insert into pglobalxact.event (kind, set_id, detail)
        select c.outcome, c.xid || '_' || c.nonce, 'found when a node that was given up came back' from changed c where c.outcome = 'mixed';
    end if;
    with done as (
        update pglobalxact.commit_record r set complete_at = c.at, outcome = c.outcome
        from jsonb_to_recordset(completes) as c (xid xid8, nonce text, outcome text, at timestamptz)
        where r.xid = c.xid and r.nonce = c.nonce and r.complete_at is null
        returning r.xid, r.nonce, r.complete_at, r.outcome
    )
    insert into pglobalxact.set_event (at, kind, set_id, detail) select d.complete_at, 'finished', d.xid || '_' || d.nonce, d.outcome from done d where wanted;
    if wanted then
        notify pglobalxact_events;
    end if;
    insert into pglobalxact.event (kind, set_id, detail)
    select c.outcome, c.xid || '_' || c.nonce, c.detail
    from jsonb_to_recordset(completes) as c (xid xid8, nonce text, outcome text, detail text)
    where c.detail is not null
      and not exists (select from pglobalxact.event e where e.set_id = c.xid || '_' || c.nonce and e.kind = c.outcome and e.detail = c.detail);
end
$$;
comment on function pglobalxact._finish(jsonb, jsonb) is 'Internal. Writes branch fates and completed sets back, with an event for each set that is mixed or unknown.';
revoke all on function pglobalxact._finish(jsonb, jsonb) from public;
