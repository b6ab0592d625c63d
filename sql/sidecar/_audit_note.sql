-- How far an audit is, or how it ended. Disagreements enter history each with its set, and once: every later audit finds them again.
create or replace function pglobalxact._audit_note(audit bigint, reached timestamptz, sets bigint, branches bigint, findings jsonb, disagreements jsonb, ended boolean)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update pglobalxact.audit a
    set reached = _audit_note.reached, sets = _audit_note.sets, branches = _audit_note.branches, findings = _audit_note.findings,
        noted_at = clock_timestamp(), finished_at = case when ended then clock_timestamp() end
    where a.id = audit;
    insert into pglobalxact.event (kind, set_id, node, who, detail)
    select 'disagreement', d.set_id, d.node, a.asked_by, d.detail
    from jsonb_to_recordset(disagreements) as d (set_id text, node integer, detail text) join pglobalxact.audit a on a.id = audit
    where not exists (select from pglobalxact.event e where e.kind = 'disagreement' and e.set_id = d.set_id and e.node = d.node and e.detail = d.detail);
    if ended then
        insert into pglobalxact.event (kind, who, detail)
        select 'verified', a.asked_by, format('%s branches of %s sets: %s disagree, %s not proved', a.branches, a.sets,
            coalesce(sum(f.branches) filter (where f.finding = 'disagrees'), 0), coalesce(sum(f.branches) filter (where f.finding = 'not proved'), 0))
        from pglobalxact.audit a left join lateral jsonb_to_recordset(a.findings) as f (finding text, branches bigint) on true
        where a.id = audit group by a.id;
    end if;
end
$$;
comment on function pglobalxact._audit_note(bigint, timestamptz, bigint, bigint, jsonb, jsonb, boolean) is 'Internal. Writes down what an audit has found so far, and its disagreements into history.';
revoke all on function pglobalxact._audit_note(bigint, timestamptz, bigint, bigint, jsonb, jsonb, boolean) from public;
