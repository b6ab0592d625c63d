-- What is known of a set's rows: the sidecar first writes down what it has in memory. Without a sidecar, what was written before.
create or replace function pglobalxact._changes_of(key record)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    problem text;
    hint text;
begin
    begin
        perform pglobalxact._request('keep_changes', jsonb_build_object('set', key.xid || '_' || key.nonce));
    exception when object_not_in_prerequisite_state then
        get stacked diagnostics problem = message_text, hint = pg_exception_hint;
        raise notice 'what the sidecar has in memory is not shown: %', problem using hint = hint;
    end;
    return pglobalxact._on_loopback(format('select pglobalxact._decoded(%L, %L)', key.xid, key.nonce))::jsonb;
end
$$;
comment on function pglobalxact._changes_of(record) is 'Internal. The decoded branches of a set.';
revoke all on function pglobalxact._changes_of(record) from public;
