-- What became of branches here. $1: their xid8s. In one row and one snapshot: the time line, null on a standby, and of each xid, in the
-- same order, what pg_xact_status says; "open" for those it must not be asked about, not handed out yet or among the newest ones running.
select case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_lsn()), 8) end as timeline,
       (select array_agg(case when b.xid::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) then 'open' else pg_xact_status(b.xid::xid8) end order by b.nth)
        from unnest($1::text[]) with ordinality as b (xid, nth)) as states
