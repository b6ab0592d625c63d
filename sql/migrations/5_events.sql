-- Events for consumers, each exactly once, and a number for every committed set.

create sequence set_number;
comment on sequence set_number is
    'Drawn for every branch while its set''s COMMIT runs. CACHE must stay 1: a session that kept numbers in store would give one that is older than its set.';

alter table branch_record add column number bigint;
-- In a statement of its own: with the column, the default would write every row there is again, and number sets of long ago by chance.
alter table branch_record alter column number set default nextval('pglobalxact.set_number');
comment on column branch_record.number is
    'Drawn in the set''s COMMIT, behind all of its statements and before it is visible: the highest of a set''s branches is the set''s number.';

create sequence event_switch as smallint minvalue 0 maxvalue 1 start 0;
comment on sequence event_switch is
    '1 as long as there may be a consumer: what no other row tells is then written to table set_event. A sequence, because what it holds is seen by '
    'every transaction at once, whatever snapshot it has.';

create table set_event (
    xid    xid8        not null default pg_current_xact_id(),
    nth    bigint      not null generated always as identity,
    at     timestamptz not null,
    kind   text        not null,
    set_id text        not null,
    node   integer,
    detail text        not null default '',
    constraint set_event_pk primary key (xid, nth)
);
comment on table set_event is
    'What becomes of sets and their branches, an event a row, never changed: commit records and their branches keep only the last. '
    'Written while there are consumers. Sets begun, prepared and decided are told by their records, and all else by table event.';

create index event_xid on event (xid);

create table consumer (
    name            text        not null constraint consumer_pk primary key constraint consumer_has_name check (name <> ''),
    role            name        not null,
    keep            interval    not null constraint consumer_keep_positive check (keep > interval '0'),
    position        pg_snapshot not null,
    position_at     timestamptz not null,
    position_number bigint      not null,
    batch           bigint      not null default 0,
    batch_to        pg_snapshot,
    batch_at        timestamptz,
    batch_number    bigint,
    taken_at        timestamptz,
    taken_by        xid8,
    expired_at      timestamptz,
    constraint consumer_batch_is_whole check (num_nonnulls(batch_to, batch_at, batch_number) in (0, 3))
);
alter table consumer set (fillfactor = 50);
comment on table consumer is
    'Who reads events, and how far: all that is visible in position is done, all in batch_to and not in position is the batch that is out. '
    'Nothing newer than position_at is purged, but for a consumer that has expired. taken_by: the transaction that was last given the batch.';

create table tick (
    number   bigint      not null constraint tick_pk primary key,
    snapshot pg_snapshot not null,
    at       timestamptz not null
);
comment on table tick is 'Where a batch may end when a consumer is behind: snapshots, and what set_number held. Written while one is.';

alter table coordinator add column events_purged_to xid8 not null default '0';
comment on column coordinator.events_purged_to is 'No event of a later transaction has been purged.';

create table clock (
    only_row  boolean     not null default true constraint clock_one_row primary key constraint clock_only_row check (only_row),
    tolerance interval    not null constraint clock_tolerance_positive check (tolerance > interval '0'),
    kept_by   name        not null,
    kept_at   timestamptz not null default clock_timestamp()
);
comment on table clock is 'Whether sets get a time that orders them with other coordinators'' sets, and how far clocks may be apart. No row: they do not.';

create table set_stamp (
    xid      xid8    not null,
    nonce    text    not null,
    stamp    bigint  not null,
    branches integer not null,
    constraint set_stamp_pk primary key (xid, nonce)
);
comment on table set_stamp is 'The times of sets, in microseconds since 1970, written by their own transactions; branches: of how many nodes the clocks were read.';
