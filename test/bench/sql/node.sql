-- A node. Nothing of pglobalxact is here.
create extension pg_stat_statements;
create table account (id integer primary key, balance bigint not null, tag bigint not null default 0) with (fillfactor = 70);
insert into account (id, balance) select i, 0 from generate_series(1, 10000) i;
grant all on account to node_app;
