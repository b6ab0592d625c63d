create or replace function pglobalxact.set_clock(set_id text)
returns timestamptz
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    key record := pglobalxact._set_key(set_clock.set_id);
begin
    return (select timestamptz 'epoch' + s.stamp * interval '1 microsecond' from pglobalxact.set_stamp s
            where s.xid = key.xid and s.nonce = key.nonce and s.xid is distinct from pg_current_xact_id_if_assigned());
end
$$;
comment on function pglobalxact.set_clock(text) is
    'The time of a committed set, if a clock was kept: earlier than that of every set, of any coordinator that keeps one, that waited for it on some server or saw there what it wrote. '
    'Sets that have nothing to do with one another may have the same. Null for a set that has none. Error 22023 for what is not a set id, or is another coordinator''s.';
revoke all on function pglobalxact.set_clock(text) from public;
grant execute on function pglobalxact.set_clock(text) to pglobalxact_user, pglobalxact_monitor;
