-- What ends a drain early: there is no use in waiting.
create or replace function pglobalxact._drain_check(since text, look jsonb)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    problem constant jsonb := nullif(look -> 'answer' -> 'error', 'null');
begin
    if look ->> 'since' is distinct from since then
        raise exception 'not drained: the pause was ended meanwhile, and sets may have begun'
            using errcode = 'object_not_in_prerequisite_state', hint = 'See who did: the events "paused" and "resumed" in table pglobalxact.event.';
    elsif not (look ->> 'sidecar')::boolean then
        raise exception 'not drained: no sidecar is running, and only a sidecar can finish what is open and see that nothing is left on the nodes'
            using errcode = 'object_not_in_prerequisite_state',
                  detail = case when look ->> 'open' is null then 'No set is open here; the pause stays in effect.'
                           else 'Open: ' || pglobalxact._drain_text(look -> 'open', 20) || E'.\nThe pause stays in effect.' end,
                  hint = 'Start the sidecar and drain again (select sidecar, note from pglobalxact.status();), or let sets begin again: select pglobalxact.resume();';
    elsif problem is not null then
        perform pglobalxact._raise(coalesce(problem ->> 'sqlstate', '55000'),
            format('not drained: the nodes could not be looked at: %s', problem ->> 'message'), 'The pause stays in effect.',
            'Drain again, or let sets begin again: select pglobalxact.resume();');
    end if;
end
$$;
comment on function pglobalxact._drain_check(text, jsonb) is 'Internal. ERROR when a drain cannot end well: resumed, no sidecar, or the sidecar refused.';
revoke all on function pglobalxact._drain_check(text, jsonb) from public;
