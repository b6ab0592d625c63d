create or replace function pglobalxact._look_again(set_ids text[])
returns setof jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select pglobalxact._set_facts(r)
    from unnest(set_ids) as wanted (id)
    cross join lateral pglobalxact._parse_gid(wanted.id) k
    join pglobalxact.commit_record r on r.xid = k.xid and r.nonce = k.nonce
$$;
comment on function pglobalxact._look_again(text[]) is 'Internal. Commit records of the sets named, complete or not.';
revoke all on function pglobalxact._look_again(text[]) from public;
