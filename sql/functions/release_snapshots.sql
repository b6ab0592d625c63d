create or replace function pglobalxact.release_snapshots(export bigint default null)
returns integer
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    select (pglobalxact._request('release_snapshots', jsonb_build_object('export', release_snapshots.export)) ->> 'released')::integer
$$;
comment on function pglobalxact.release_snapshots(bigint) is
    'Lets the snapshots of an export go, or those of all; returns how many exports that were. Transactions that use them already go on. An export that has expired counts no more. Error 55000 when no sidecar runs: then none is held.';
revoke all on function pglobalxact.release_snapshots(bigint) from public;
grant execute on function pglobalxact.release_snapshots(bigint) to pglobalxact_admin;
