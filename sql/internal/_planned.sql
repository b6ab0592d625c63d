-- Has the sidecar plan an act, or carry out a plan that is confirmed. A plan comes with a NOTICE that says how to confirm it.
create or replace function pglobalxact._planned(kind text, arguments jsonb, call text)
returns table (set_id text, node name, now text, decision text, at_stake text, result text, confirm text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    given constant text := arguments ->> 'confirm';
    reason constant text := arguments ->> 'reason';
    answer jsonb;
begin
    if given is not null then
        perform pglobalxact._require_reason(reason, call || format(', reason => ''node b is lost, ticket 4711'', confirm => %L);', given));
    end if;
    answer := pglobalxact._request(kind, arguments || jsonb_build_object('by', session_user));
    if given is null then
        raise notice 'nothing was done: this is the plan'
            using hint = format('To carry it out: %s, reason => %L, confirm => %L);', call, coalesce(reason, '…'), answer -> 0 ->> 'confirm');
    end if;
    return query
    select nullif(r.set_id, ''), r.node, nullif(r.now, ''), nullif(r.decision, ''), nullif(r.at_stake, ''), r.result, nullif(r.confirm, '')
    from jsonb_to_recordset(answer) as r (set_id text, node name, now text, decision text, at_stake text, result text, confirm text);
end
$$;
comment on function pglobalxact._planned(text, jsonb, text) is 'Internal. Plans an act, or carries it out when confirmed; call is what the person typed, up to the reason.';
revoke all on function pglobalxact._planned(text, jsonb, text) from public;
