-- Kept for this transaction only, and gone with a savepoint that is taken back: the trigger reads it in COMMIT (_stamp_set).
create or replace function pglobalxact.observe_clock(at timestamptz)
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    tolerance constant interval := (select c.tolerance from pglobalxact.clock c);
begin
    if (at is not null and isfinite(at)) is not true then
        raise exception 'the time of a set is needed' using errcode = 'invalid_parameter_value',
            hint = 'Its coordinator tells it: select pglobalxact.set_clock(''…'');';
    elsif tolerance is null then
        raise exception 'no clock is kept here, so no set gets a time' using errcode = 'object_not_in_prerequisite_state',
            hint = 'An administrator can have one kept: select pglobalxact.keep_clock();';
    elsif at > clock_timestamp() + tolerance then
        raise exception 'that time is % ahead of this server''s clock', at - clock_timestamp() using errcode = 'object_not_in_prerequisite_state',
            detail = format('COMMIT would have to wait as long; clocks may be %s apart.', tolerance),
            hint = 'Set the clocks of all servers by the network, or allow more: select pglobalxact.keep_clock(interval ''…'');';
    end if;
    perform set_config('pglobalxact.observed_clock',
                       greatest((extract(epoch from at) * 1000000)::bigint, nullif(current_setting('pglobalxact.observed_clock', true), '')::bigint)::text, true);
end
$$;
comment on function pglobalxact.observe_clock(timestamptz) is
    'The set of this transaction gets a later time than this one, which is another set''s (set_clock), of this or any coordinator: for what a program learned otherwise than from a server that both worked on, '
    'from a message or a file. Before COMMIT, as often as needed; the latest counts. Errors: 22023 no time, 55000 no clock is kept, or the time is further ahead than the tolerance.';
revoke all on function pglobalxact.observe_clock(timestamptz) from public;
grant execute on function pglobalxact.observe_clock(timestamptz) to pglobalxact_user;
