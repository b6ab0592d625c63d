-- Deadlocks over several servers: what the sidecar is to do about them, and what looking for them costs.

create table deadlock_watch (
    only_row   boolean          not null default true constraint deadlock_watch_pk primary key constraint deadlock_watch_only_row check (only_row),
    mode       text             not null default 'off' constraint deadlock_watch_mode check (mode in ('off', 'report', 'resolve')),
    set_by     name,
    set_at     timestamptz,
    looks      bigint           not null default 0,
    queries    bigint           not null default 0,
    query_ms   double precision not null default 0,
    found      bigint           not null default 0,
    cancelled  bigint           not null default 0
);
comment on table deadlock_watch is 'Whether the sidecar looks for deadlocks over several servers, and what came of it since the installation: one row.';
comment on column deadlock_watch.looks is 'Looks at who waits for whom; at most of them nobody did, and no node was asked.';
comment on column deadlock_watch.queries is 'Queries of these looks, at the coordinator and the nodes; query_ms: the time until they were answered, added up.';
insert into deadlock_watch default values;
