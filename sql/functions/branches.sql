-- The branches of one set, or of all that are not over.
create or replace function pglobalxact.branches(of_set text default null)
returns table (set_id text, node name, state text, decision text, prepared_for interval, locks text, blocked integer, holds_back bigint,
               owner name, xid xid8, attempts integer, next_retry interval, sqlstate text, last_error text, gid text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
-- Twenty thousand open branches must not be sorted on disk.
set work_mem = '32MB'
as $$
#variable_conflict use_column
declare
    wanted text := case when of_set is not null then pglobalxact._canonical_set(of_set) end;
    key record;
begin
    return query
    select b.set_id, n.name, b.state, b.decision, date_trunc('second', clock_timestamp() - b.prepared_at), b.locks, b.blocked, b.holds_back,
           b.owner, b.branch_xid, b.attempts,
           case when b.next_retry_at is not null then date_trunc('second', greatest(b.next_retry_at - clock_timestamp(), interval '0')) end,
           b.sqlstate, b.message, b.gid
    from pglobalxact.open_branch b join pglobalxact.node n on n.number = b.node
    where wanted is null or b.set_id = wanted
    order by (b.message is null), b.set_id, n.name;
    if found or wanted is null then
        return;
    end if;
    -- A set that is over: its record says how.
    key := pglobalxact._set_key(wanted);
    return query
    select wanted, n.name, coalesce(b.fate, r.outcome), 'commit', null::interval, null::text, null::integer, null::bigint,
           b.owner, b.branch_xid, 0, null::interval, null::text, null::text,
           'pgx_' || (select c.id from pglobalxact.coordinator c) || '_' || wanted || '_' || b.node
    from pglobalxact.commit_record r
    join pglobalxact.branch_record b on b.xid = r.xid and b.nonce = r.nonce
    join pglobalxact.node n on n.number = b.node
    where r.xid = key.xid and r.nonce = key.nonce
    order by n.name;
    if not found then
        raise exception 'set "%" is not known here', wanted
            using errcode = 'undefined_object', hint = format('See: select pglobalxact.outcome(%L);', wanted);
    end if;
end
$$;
comment on function pglobalxact.branches(text) is
    'Per node: the state of a set''s branch (open, prepared, retry, waiting, committed, rolled back, unknown, lost, left alone), what was decided for it, for how long it is prepared, '
    'the tables it locks there and in which mode, sessions blocked by it, transactions for which it holds back vacuum, its owner and xid8 there, and the last error. Without an argument: of all sets that are not over. Error 42704 for an unknown set.';
revoke all on function pglobalxact.branches(text) from public;
grant execute on function pglobalxact.branches(text) to pglobalxact_monitor;
