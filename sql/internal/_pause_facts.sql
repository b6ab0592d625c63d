-- Volatile: in READ COMMITTED it looks with a snapshot of its own.
create or replace function pglobalxact._pause_facts()
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return (select jsonb_build_object('since', c.paused_at, 'by', c.paused_by, 'reason', c.pause_reason)
    from pglobalxact.coordinator c where c.paused_at is not null);
end
$$;
comment on function pglobalxact._pause_facts() is 'Internal. Since when, by whom and why pglobalxact is paused, as JSON; null when it is not.';
revoke all on function pglobalxact._pause_facts() from public;
grant execute on function pglobalxact._pause_facts() to @loopback_role@;
