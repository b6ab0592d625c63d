-- Whether any session that is called like a branch waits for a lock here: all that most looks ask a node (the rest is waits.sql, which it
-- takes longer to plan than to run).
select exists (select from pg_catalog.pg_stat_get_activity(null) a
               where a.wait_event_type = 'Lock' and a.application_name ~ '^pgx_[0-9a-f]{8}_[0-9]+_[0-9a-f]{8}(_[0-9]+)?$') as found
