create or replace function pglobalxact._check_hold(timeout interval, example text)
returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if (timeout between interval '1 millisecond' and interval '10 seconds') is not true then
        raise exception 'timeout must lie between 1 ms and 10 s' using errcode = 'invalid_parameter_value',
            detail = 'It is how long commits of sets may be held.', hint = format('For example: %s', example);
    end if;
end
$$;
comment on function pglobalxact._check_hold(interval, text) is 'Internal. ERROR 22023 for a time for which commits of sets are never held; example: a statement with a good one.';
revoke all on function pglobalxact._check_hold(interval, text) from public;
