create or replace function pglobalxact._forget(set_id text, gids text[], who name, reason text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    key record := pglobalxact._set_key(_forget.set_id);
begin
    update pglobalxact.commit_record r set acknowledged_at = clock_timestamp()
    where r.xid = key.xid and r.nonce = key.nonce and r.outcome <> 'committed';
    update pglobalxact.branch_status s set forgotten = true where s.gid = any (gids);
    insert into pglobalxact.event (kind, set_id, who, detail) values ('forgotten', _forget.set_id, who, reason);
end
$$;
comment on function pglobalxact._forget(text, text[], name, text) is 'Internal. Takes a set off the books whose node is not waited for any more.';
revoke all on function pglobalxact._forget(text, text[], name, text) from public;
