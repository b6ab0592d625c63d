-- A moment between two sets shows every set whole or not at all, but for those whose branches did not all go one way: no moment does.
create or replace function pglobalxact._notice_not_whole(consequence text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    sets text;
begin
    select string_agg(t.set_id, ', ') into sets
    from (select r.xid || '_' || r.nonce as set_id from pglobalxact.commit_record r where r.outcome <> 'committed' and r.acknowledged_at is null order by r.xid limit 6) t;
    if sets is not null then
        raise notice 'mixed or unknown and not acknowledged, so perhaps not %: set %', consequence, sets
            using hint = 'See: select * from pglobalxact.sets();';
    end if;
end
$$;
comment on function pglobalxact._notice_not_whole(text) is 'Internal. NOTICE of sets that are mixed or unknown and not acknowledged; consequence: what they perhaps are not.';
revoke all on function pglobalxact._notice_not_whole(text) from public;
