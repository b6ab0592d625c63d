create or replace function pglobalxact._moment_of(manifest jsonb)
returns pg_snapshot
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if (manifest ->> 'format' = '1' and manifest ? 'id' and jsonb_typeof(manifest -> 'servers') = 'array') is not true then
        raise exception 'this is not the manifest of a restore point' using errcode = 'invalid_parameter_value',
            hint = 'It is what create_restore_point() returned; this database''s are in pglobalxact.restore_points().';
    elsif manifest ->> 'coordinator' <> (select c.id from pglobalxact.coordinator c) then
        raise exception 'this is the manifest of coordinator %, and this database is coordinator %', manifest ->> 'coordinator', (select c.id from pglobalxact.coordinator c)
            using errcode = 'invalid_parameter_value';
    end if;
    return (manifest ->> 'snapshot')::pg_snapshot;
end
$$;
comment on function pglobalxact._moment_of(jsonb) is 'Internal. The coordinator''s snapshot at a restore point. ERROR 22023 for what is no manifest of this coordinator''s.';
revoke all on function pglobalxact._moment_of(jsonb) from public;
