-- Which of these gids are prepared here.
select p.gid from pg_catalog.pg_prepared_xacts p where p.gid = any ($1)
