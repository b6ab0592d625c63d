create or replace function pglobalxact._require_reason(reason text, example text)
returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if coalesce(trim(reason), '') = '' then
        raise exception 'a reason is needed: it is recorded with who and when'
            using errcode = 'invalid_parameter_value', hint = 'For example: ' || example;
    end if;
end
$$;
comment on function pglobalxact._require_reason(text, text) is 'Internal. ERROR 22023 when no reason is given.';
revoke all on function pglobalxact._require_reason(text, text) from public;
