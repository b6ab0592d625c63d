-- What a DBA types as a set: a set id, or a gid of this coordinator. Anything else is an error that says what it is.
create or replace function pglobalxact._set_key(set_id text, out xid xid8, out nonce text, out node integer)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    part record;
    own text := (select c.id from pglobalxact.coordinator c);
begin
    select * into part from pglobalxact._parse_gid(_set_key.set_id);
    if not found then
        raise exception '"%" is not a set id or gid of pglobalxact', _set_key.set_id
            using errcode = 'invalid_parameter_value',
                  hint = 'A set id looks like 1234_ab12cd34: see pglobalxact.sets(). '
                         'A gid of another form belongs to another transaction manager: ask it.';
    end if;
    if part.coordinator is not null and part.coordinator <> own then
        raise exception 'gid "%" belongs to coordinator %, not to this one (%)', _set_key.set_id, part.coordinator, own
            using errcode = 'invalid_parameter_value',
                  hint = 'Decide it on its own coordinator.';
    end if;
    xid := part.xid;
    nonce := part.nonce;
    node := part.node;
end
$$;
comment on function pglobalxact._set_key(text) is 'Internal. Checks and splits a set id or gid; ERROR 22023 for what is not this coordinator''s.';
revoke all on function pglobalxact._set_key(text) from public;
