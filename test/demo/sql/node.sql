-- A node: the role that works there, and the sidecar's login, which may finish that role's branches and nothing else.
create role app login password '@app@';
create role pglobalxact login password '@pglobalxact@';
grant app to pglobalxact;

create table account (name text primary key, balance bigint not null check (balance >= 0));
insert into account values ('@holder@', @balance@);
grant select, insert, update, delete on account to app;
