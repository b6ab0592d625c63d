create or replace function pglobalxact._refuse_point_name(name text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'there is, or was, a restore point "%" already', name using errcode = 'duplicate_object',
        detail = 'A recovery stops at the first restore point of that name that it comes to, even if that one was given up.',
        hint = 'Choose another name, with the time in it for example. See: select * from pglobalxact.restore_points();';
end
$$;
comment on function pglobalxact._refuse_point_name(text) is 'Internal. ERROR 42710: the name of a restore point was used before.';
revoke all on function pglobalxact._refuse_point_name(text) from public;
