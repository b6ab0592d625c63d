create or replace function pglobalxact._note_of(gid text, manager text, owner text, verdict text, reason text, attempts integer, problem text, sidecars jsonb)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    part record;
    seen record;
begin
    if manager not like 'pglobalxact %' then
        return case manager when 'logical replication' then 'not ours: its subscription settles it'
                            when 'unknown' then format('not ours: ask who works as role "%s"', owner)
                            else 'not ours: ask its manager' end;
    end if;
    select * into part from pglobalxact._parse_gid(_note_of.gid);
    if part.coordinator <> (select c.id from pglobalxact.coordinator c) then
        -- A sidecar that is connected where the transaction is prepared says itself where it comes from.
        select p.told, s.address into seen
        from jsonb_to_recordset(sidecars) as s (name text, address text) cross join lateral pglobalxact._peer_of(s.name) p
        where p.coordinator = part.coordinator limit 1;
        if not found then
            select k.told, host(k.client_addr) as address into seen from pglobalxact.peer k where k.coordinator = part.coordinator;
        end if;
        return format('not ours: ask coordinator %s (%s)', part.coordinator, pglobalxact._where_to_ask(seen.told, seen.address));
    end if;
    return case
        when verdict in ('commit', 'rollback') then format('settled by this sidecar: %s, as %s', verdict, reason)
            || case when attempts > 0 then format('; %s attempts failed: %s', attempts, problem) else '' end
        when verdict = 'running' then 'left alone: ' || reason
        when verdict is not null then format('left alone: %s. See: select * from pglobalxact.branches(%L);', reason, part.xid || '_' || part.nonce)
        else format('of this coordinator, in a database that is not seen as its node. See: select * from pglobalxact.branches(%L);', part.xid || '_' || part.nonce) end;
end
$$;
comment on function pglobalxact._note_of(text, text, text, text, text, integer, text, jsonb) is
    'Internal. Who settles a prepared transaction, or whom to ask, in words.';
revoke all on function pglobalxact._note_of(text, text, text, text, text, integer, text, jsonb) from public;
