-- Watched nodes: what two-phase decoding tells of their branches.
-- Authoritative: watch, decoded_event, decoded_branch (what the node's slot no longer has). A copy for people: watch_status.

create table watch (
    node        integer     not null constraint watch_pk primary key constraint watch_node references node,
    publication name        not null,
    all_gids    boolean     not null,
    max_wal     bigint      not null constraint watch_max_wal_positive check (max_wal > 0),
    watched_at  timestamptz not null default clock_timestamp(),
    watched_by  name        not null
);
comment on table watch is 'Nodes whose prepared transactions the sidecar decodes, with the bound of the WAL that they may keep for it, in bytes.';

create table watch_status (
    node       integer     not null constraint watch_status_pk primary key constraint watch_status_node references watch on delete cascade,
    state      text        not null,
    slot       name        not null,
    lag        bigint,
    wal_kept   bigint,
    held       integer     not null,
    remade     integer     not null default 0,
    message    text,
    checked_at timestamptz not null default clock_timestamp()
);
comment on table watch_status is 'What the sidecar last saw of each watched node''s slot.';

create table decoded_event (
    node     integer     not null,
    lsn      pg_lsn      not null,
    kind     text        not null constraint decoded_event_kind check (kind in ('prepare', 'commit prepared', 'rollback prepared', 'gap')),
    gid      text        not null,
    at       timestamptz not null,
    rows     bigint,
    noted_at timestamptz not null default clock_timestamp(),
    constraint decoded_event_pk primary key (node, lsn, kind, gid)
);
comment on table decoded_event is
    'The feed: what watched nodes prepared and finished, with the position behind each record and the node''s time of it. '
    'A gap says that the slot was made anew: what happened before it and is not here was not seen. Kept for the retention time.';
create index decoded_event_noted on decoded_event (noted_at);

create table decoded_branch (
    gid         text        not null constraint decoded_branch_pk primary key,
    node        integer     not null,
    set_xid     xid8        not null,
    set_nonce   text        not null,
    xid         text        not null,
    lsn         pg_lsn      not null,
    prepared_at timestamptz not null,
    total       bigint      not null,
    tables      jsonb       not null,
    rows        jsonb       not null,
    decoded_at  timestamptz not null,
    fate        text        constraint decoded_branch_fate check (fate in ('committed', 'rolled back')),
    fate_at     timestamptz,
    noted_at    timestamptz not null default clock_timestamp()
);
comment on table decoded_branch is
    'The rows that branches on watched nodes changed, users'' data, of sets that are on the books for longer than a moment: '
    'so that the node''s slot need not keep them. Deleted when the set is off the books.';
comment on column decoded_branch.decoded_at is
    'By the node''s clock, like fate_at. A transaction that is rolled back before it has been decoded is not decoded to its end: then rows may not have all.';
create index decoded_branch_set on decoded_branch (set_xid, set_nonce);
