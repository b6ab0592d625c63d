-- The bank's coordinator, as README.md sets one up. Run by a superuser, behind "make install-sql".
alter role pglobalxact password '@pglobalxact@';
create role app login password '@app@';
create role dba login password '@dba@';
grant pglobalxact_user to app, dba;
grant pglobalxact_admin to dba;

create table account (name text primary key, balance bigint not null check (balance >= 0));
insert into account values ('@holder@', @balance@);
grant select, insert, update, delete on account to app, dba;

-- All three servers in one look, read as one set.
create view whole_bank as
select 'zurich' as server, name, balance from account union all
select 'london', b.* from pglobalxact.query('london', 'table account') as b (name text, balance bigint) union all
select 'tokyo', c.* from pglobalxact.query('tokyo', 'table account') as c (name text, balance bigint);
grant select on whole_bank to app, dba;

-- The bank's own code: each node's account gets the amount, the one here pays for both. Returns the set id.
create function transfer(amount bigint) returns text language plpgsql as $$
begin
    update account set balance = balance - 2 * amount;
    perform pglobalxact.exec('london', format('update account set balance = balance + %s', amount));
    perform pglobalxact.exec('tokyo', format('update account set balance = balance + %s', amount));
    return pglobalxact.set_id();
end
$$;
