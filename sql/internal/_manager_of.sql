-- Which transaction manager a gid is likely to come from, told by its form alone. Anyone may use any form, so this says whom to
-- ask, and nothing is decided by it. The forms, and where they are made:
--   pgx_<id>_<xid>_<nonce>_<node>       pglobalxact, of the coordinator with that id
--   pgxr_<id>_<restore point>_<node>_<time line>  pglobalxact, the mark of a restore point
--   <format>_<base64>_<base64>          XA: pgjdbc's RecoveredXid (any Java manager above it), and the same form in psycopg2
--                                       and psycopg 3 (Xid, from tpc_begin). The format tells some managers: 131077 Narayana
--                                       (XATxConverter), 1096044365 = "ATOM" Atomikos (XID), 1114926712 = "Btnx" Bitronix (BitronixXid)
--   citus_<group>_<pid>_<number>_<n>    Citus (remote_transaction.c, PREPARED_TRANSACTION_NAME_FORMAT)
--   pgfdw_<xid>_<…>_<pid>_<cluster>     postgres_fdw_plus (pgfdw_plus_foreign_prepared_xacts in its extension script)
--   __pgdog_2pc_<number>[_<shard>]      PgDog (its frontend's two_pc)
--   pg_gid_<subscription>_<xid>         logical replication with two_phase (twophase.c, TwoPhaseTransactionGid)
--   _sa_<32 hex digits>                 SQLAlchemy (engine/default.py, create_xid)
--   <guid>/<pid>                        Npgsql under System.Transactions (VolatileResourceManager)
--   <number>-<10 digits>                Greenplum up to 6 (cdbtm, dtxFormGID); later versions use a bare number, which tells nothing
--   _$XC$<…>                            Postgres-XC and Postgres-XL (pgxc_clean, XIDPREFIX)
--   MTM-<node>-<number>…                Postgres Pro multimaster (MtmGenerateGid)
-- Django and pgx have no form of their own; Vitess prepares in MySQL.
create or replace function pglobalxact._manager_of(gid text)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when gid like 'pgx\_%' and exists (select from pglobalxact._parse_gid(gid) g where g.coordinator is not null) then 'pglobalxact ' || split_part(gid, '_', 2)
        when gid ~ '^pgxr_[0-9a-f]{8}_[0-9a-f]{16}_[0-9]+_[0-9A-F]{8}$' then 'pglobalxact ' || split_part(gid, '_', 2) || ', a restore point'
        when gid ~ '^-?[0-9]{1,10}_[A-Za-z0-9+/]*={0,2}_[A-Za-z0-9+/]*={0,2}$' then case split_part(gid, '_', 1)
            when '131077' then 'XA: Narayana'
            when '1096044365' then 'XA: Atomikos'
            when '1114926712' then 'XA: Bitronix'
            else 'XA' end
        when gid ~ '^citus_[0-9]+_[0-9]+_[0-9]+_[0-9]+$' then 'Citus'
        when gid ~ '^pgfdw_[0-9]+_[0-9]+_[0-9]+_' then 'postgres_fdw_plus'
        when gid ~ '^__pgdog_2pc_[0-9]+' then 'PgDog'
        when gid ~ '^pg_gid_[0-9]+_[0-9]+$' then 'logical replication'
        when gid ~ '^_sa_[0-9a-f]{32}$' then 'SQLAlchemy'
        when gid ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/[0-9]+$' then 'Npgsql'
        when gid ~ '^[0-9]+-[0-9]{10}$' then 'Greenplum'
        when gid ~ '^_\$XC\$' then 'Postgres-XL'
        when gid ~ '^MTM-[0-9]+-[0-9]+' then 'multimaster'
        else 'unknown' end
$$;
comment on function pglobalxact._manager_of(text) is
    'Internal. The transaction manager that makes gids of this form: whom to ask, not who it was. "unknown" for any other form.';
revoke all on function pglobalxact._manager_of(text) from public;
