-- First thing a sidecar does on a new connection: who is this database, may this home act, and is it the one that acts?
-- The acting lock stays with this session: it is gone when the session is.
create or replace function pglobalxact._hello(home text, host text, pid integer, version text, started_at timestamptz, state_directory text, belongs_to text)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    own constant text := (select c.id from pglobalxact.coordinator c);
    allowed boolean;
    elected boolean := false;
    stale boolean := false;
    said text;
    point pglobalxact.restore_point;
begin
    if pg_is_in_recovery() then
        return jsonb_build_object('acting', false, 'note', 'this server is a standby: waiting for its promotion');
    end if;
    -- Before anything that takes an xid: first_xid tells, after a failover, which xids this time line handed out itself.
    perform pglobalxact._record_server_start();
    if belongs_to is null or belongs_to = own then
        insert into pglobalxact.home (id, reason) select _hello.home, 'first sidecar of this coordinator'
        where not exists (select from pglobalxact.home) on conflict do nothing;
        allowed := exists (select from pglobalxact.home h where h.id = _hello.home);
        -- State files that are older than a restore know of decisions that came after the point: here they are none, and carrying them out would
        -- commit on the nodes what the coordinator has not. Files that are empty when they are first seen here begin here.
        point := pglobalxact._restored_to();
        if allowed and point.id is not null then
            if belongs_to is null then
                update pglobalxact.home h set allowed_at = clock_timestamp() where h.id = _hello.home and h.allowed_at <= point.begun_at;
            end if;
            stale := exists (select from pglobalxact.home h where h.id = _hello.home and h.allowed_at <= point.begun_at);
        end if;
    end if;
    if allowed and not stale then
        -- One election at a time (only this role may lock the table), then no two can win under different spares. A stranger
        -- who squats on the lock is passed over.
        lock table pglobalxact.sidecar in share row exclusive mode;
        elected := exists (select from pglobalxact._sidecar_pid() s where s.pid = pg_backend_pid());
        for spare in 0 .. 3 loop
            exit when elected or exists (select from pglobalxact._sidecar_pid());
            elected := pg_try_advisory_lock(pglobalxact._lock_key('acting', spare), 0);
        end loop;
    end if;
    said := case
        when allowed is null then format('state directory %s belongs to coordinator %s, this database is coordinator %s', state_directory, belongs_to, own)
        when not allowed then format(
            E'home %s is not allowed to act for this coordinator:\nthis is either a new host (then run: select pglobalxact.adopt(''reason'');)\n'
            'or a copy of the database whose original still lives (then leave it, or uninstall pglobalxact here)', home)
        when stale then format(
            E'this database was restored to restore point "%s", and state directory %s is from before:\nwhat it has on file was decided later, and is not decided here. '
            'Start the sidecar with a new, empty directory (then run: select pglobalxact.adopt(''restored'');)', point.name, state_directory)
        when not elected and not exists (select from pglobalxact._sidecar_pid()) then format(
            'the locks by which a sidecar is elected are held by others: %s', coalesce(pglobalxact._holder('acting', 0), 'holder unknown'))
        when not elected then format('another sidecar acts for this coordinator: %s', coalesce(pglobalxact._holder('acting', 0), 'holder unknown'))
        else 'acting' end;
    if elected or not exists (select from pglobalxact._sidecar_pid()) then
        insert into pglobalxact.sidecar as s (home, host, pid, version, started_at, acting, note, state_directory)
        values (home, host, pid, version, started_at, elected, said, state_directory)
        on conflict (only_row) do update set home = excluded.home, host = excluded.host, pid = excluded.pid, version = excluded.version,
            started_at = excluded.started_at, seen_at = clock_timestamp(), acting = excluded.acting, note = excluded.note,
            state_directory = excluded.state_directory, rival = null, rival_at = null;
    else
        -- Seconds apart: it asks again and again, and this is only for people to see.
        update pglobalxact.sidecar s set rival = format('sidecar pid %s on host %s, home %s: %s', _hello.pid, _hello.host, _hello.home,
                case when allowed then 'it waits for this one to end' else said end), rival_at = clock_timestamp()
        where s.rival_at is null or s.rival_at < clock_timestamp() - interval '5 seconds';
    end if;
    return jsonb_build_object('acting', elected, 'note', said, 'version', current_setting('server_version_num')::integer, 'coordinator', own,
        'timeline', left(pg_walfile_name(pg_current_wal_lsn()), 8));
end
$$;
comment on function pglobalxact._hello(text, text, integer, text, timestamptz, text, text) is 'Internal. A sidecar introduces itself; says whether it acts, and if not, why.';
revoke all on function pglobalxact._hello(text, text, integer, text, timestamptz, text, text) from public;
