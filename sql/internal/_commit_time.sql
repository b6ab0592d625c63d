create or replace function pglobalxact._commit_time(xid xid8)
returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Without track_commit_timestamp the server keeps no time of a commit. A commit so old that its xid came round again has none either.
    if current_setting('track_commit_timestamp')::boolean
       and pg_snapshot_xmax(pg_current_snapshot())::text::numeric - xid::text::numeric < 2000000000 then
        return pg_xact_commit_timestamp(xid::xid);
    end if;
    return null;
end
$$;
comment on function pglobalxact._commit_time(xid8) is 'Internal. When a transaction committed; null where the server does not know.';
revoke all on function pglobalxact._commit_time(xid8) from public;
