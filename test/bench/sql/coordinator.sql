-- The bench's own: a local account table, the commit records of the hand-rolled variants, and the program's role.
create extension dblink;
create extension postgres_fdw;
create extension pg_stat_statements;
create role app login password 'bench-app';
create table account (id integer primary key, balance bigint not null, tag bigint not null default 0) with (fillfactor = 70);
insert into account (id, balance) select i, 0 from generate_series(1, 10000) i;
create table decision (tag bigint primary key, nodes integer[] not null);
grant all on account, decision to app;
