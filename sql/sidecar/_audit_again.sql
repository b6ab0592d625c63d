-- Sets on which record and node seemed to disagree, once more: either may have changed between the two looks.
create or replace function pglobalxact._audit_again(xids xid8[], nonces text[])
returns table (xid xid8, nonce text, node integer, branch_xid xid8, timeline text, says text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select r.xid, r.nonce, b.node, b.branch_xid, b.timeline, b.says
    from unnest(xids, nonces) as w (xid, nonce)
    join pglobalxact.commit_record r on r.xid = w.xid and r.nonce = w.nonce
    cross join lateral pglobalxact._audited(r.xid, r.nonce, r.complete_at is not null, r.outcome) b
$$;
comment on function pglobalxact._audit_again(xid8[], text[]) is 'Internal. What the records say of the branches of these sets now.';
revoke all on function pglobalxact._audit_again(xid8[], text[]) from public;
