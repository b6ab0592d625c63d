-- RAISE with parts that may be missing: an empty DETAIL or HINT would be sent, and psql would print its bare word.
create or replace function pglobalxact._raise(state text, message text, detail text, hint text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if coalesce(detail, '') <> '' and coalesce(hint, '') <> '' then
        raise exception '%', message using errcode = state, detail = detail, hint = hint;
    elsif coalesce(detail, '') <> '' then
        raise exception '%', message using errcode = state, detail = detail;
    elsif coalesce(hint, '') <> '' then
        raise exception '%', message using errcode = state, hint = hint;
    end if;
    raise exception '%', message using errcode = state;
end
$$;
comment on function pglobalxact._raise(text, text, text, text) is 'Internal. Raises an error; null or empty detail and hint are left out.';
revoke all on function pglobalxact._raise(text, text, text, text) from public;
grant execute on function pglobalxact._raise(text, text, text, text) to pglobalxact_user;
