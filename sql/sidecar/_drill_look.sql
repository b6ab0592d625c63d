-- What the coordinator says of a canary set, and whether that is its last word: a committed set is complete then.
create or replace function pglobalxact._drill_look(set_id text)
returns table (says text, final boolean)
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select o.says, o.says <> 'in progress' and not exists (
        select from pglobalxact._parse_gid(_drill_look.set_id) k join pglobalxact.commit_record r on r.xid = k.xid and r.nonce = k.nonce where r.complete_at is null)
    from (select pglobalxact.outcome(_drill_look.set_id) as says) o
$$;
comment on function pglobalxact._drill_look(text) is 'Internal. Outcome of a canary set, and whether that is the last word.';
revoke all on function pglobalxact._drill_look(text) from public;
