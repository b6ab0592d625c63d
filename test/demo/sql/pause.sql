-- An accident made repeatable: this trigger fires inside COMMIT, behind the one of pglobalxact, and waits there for a
-- lock that the demo holds. By then every branch is prepared, and nothing is decided.
create table pause_before_commit ();
create function wait_for_the_demo() returns trigger language plpgsql
as $$ begin perform pg_advisory_xact_lock_shared(4711); return null; end $$;
create constraint trigger wait after insert on pause_before_commit
    deferrable initially deferred for each row execute function wait_for_the_demo();
grant insert on pause_before_commit to app;

create function slow_transfer(amount bigint) returns text language plpgsql as $$
declare
    set_id constant text := transfer(amount);
begin
    insert into pause_before_commit default values;
    return set_id;
end
$$;
