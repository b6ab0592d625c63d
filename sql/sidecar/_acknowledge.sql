create or replace function pglobalxact._acknowledge(set_id text, who name, reason text)
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    key record := pglobalxact._set_key(_acknowledge.set_id);
    known pglobalxact.commit_record;
begin
    select * into known from pglobalxact.commit_record r where r.xid = key.xid and r.nonce = key.nonce;
    if known.xid is null then
        raise exception 'set "%" is not known here', _acknowledge.set_id using errcode = 'undefined_object', hint = 'See: select * from pglobalxact.sets();';
    elsif known.outcome is null or known.outcome = 'committed' or known.acknowledged_at is not null then
        raise exception 'set "%" needs no acknowledgement: it is %', _acknowledge.set_id,
            case when known.acknowledged_at is not null then 'acknowledged already' else coalesce(known.outcome, 'not complete') end
            using errcode = 'object_not_in_prerequisite_state', hint = 'Only a complete set that is mixed or unknown stays on the books until acknowledged.';
    end if;
    update pglobalxact.commit_record r set acknowledged_at = clock_timestamp() where r.xid = key.xid and r.nonce = key.nonce;
    insert into pglobalxact.event (kind, set_id, who, detail) values ('acknowledged', _acknowledge.set_id, _acknowledge.who, _acknowledge.reason);
    return known.outcome;
end
$$;
comment on function pglobalxact._acknowledge(text, name, text) is 'Internal. Takes a mixed or unknown set off the books.';
revoke all on function pglobalxact._acknowledge(text, name, text) from public;
