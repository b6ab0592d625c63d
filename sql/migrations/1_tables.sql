-- Tables of pglobalxact. Types and tables only: functions and views are re-applied at every install.
-- Authoritative: coordinator, server_start, home, node, commit_record, branch_record, forced, request, event.
-- Copies the sidecar keeps for people to read: sidecar, node_status, branch_status.

create table coordinator (
    only_row     boolean     not null default true constraint coordinator_one_row primary key constraint coordinator_only_row check (only_row),
    id           text        not null constraint coordinator_id_form check (id ~ '^[0-9a-f]{8}$'),
    installed_at timestamptz not null default now(),
    retention    interval    not null default '7 days'
                 constraint coordinator_retention_positive check (retention > interval '0'),
    purged_to    xid8        not null default '0'
);
comment on table coordinator is
    'This database as a coordinator. id goes into every gid; retention says how long commit records outlive their set; '
    'no set after purged_to has lost its commit record to it.';
insert into coordinator (id) values (left(replace(gen_random_uuid()::text, '-', ''), 8));

create table server_start (
    started_at  timestamptz not null constraint server_start_pk primary key,
    timeline    text        not null,
    first_xid   xid8        not null,
    recorded_at timestamptz not null default clock_timestamp()
);
comment on table server_start is
    'Every start of this server that ran sets, written and committed before the first PREPARE of a set of that start. '
    'A set id whose nonce matches no row here was not made by this database: it is a twin''s, and left alone.';

create table home (
    id         text        not null constraint home_pk primary key,
    allowed_at timestamptz not null default now(),
    allowed_by name        not null default session_user,
    reason     text        not null
);
comment on table home is
    'State directories whose sidecar may act for this coordinator. The first is entered by the first sidecar that starts.';

create table node (
    number     integer     not null generated always as identity constraint node_pk primary key,
    name       name        not null constraint node_name_unique unique,
    added_at   timestamptz not null default now(),
    added_by   name        not null,
    removed_at timestamptz
);
comment on table node is
    'Foreign servers that may take part in sets. The number goes into gids and is never used again for another server. '
    'Addresses and credentials are not here: they are the foreign server''s options and its user mappings.';

create table commit_record (
    xid              xid8        not null,
    nonce            text        not null,
    started_at       timestamptz not null default now(),
    role             name        not null default session_user,
    application_name text        not null,
    client_addr      inet,
    pid              integer     not null default pg_backend_pid(),
    complete_at      timestamptz,
    outcome          text        constraint commit_record_outcome check (outcome in ('committed', 'mixed', 'unknown')),
    acknowledged_at  timestamptz,
    constraint commit_record_pk primary key (xid, nonce),
    constraint commit_record_complete_has_outcome check ((complete_at is null) or (outcome is not null))
);
comment on table commit_record is
    'One row per set, written by the set''s own local transaction: it is visible if and only if that transaction committed. '
    'The presence of this row is the decision to commit; there is no other.';
-- Each row is updated once, when its set is complete, and each update leaves a dead row and a dead entry in every index. By the server's
-- defaults a fifth of a million would have to be dead before anyone tidied up.
alter table commit_record set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000, autovacuum_analyze_scale_factor = 0.02);
create index commit_record_open on commit_record (xid) where complete_at is null;
create index commit_record_trouble on commit_record (xid) where outcome <> 'committed' and acknowledged_at is null;
create index commit_record_complete on commit_record (complete_at) where complete_at is not null;

create table branch_record (
    xid         xid8    not null,
    nonce       text    not null,
    node        integer not null,
    kind        text    not null constraint branch_record_kind check (kind in ('exec', 'query', 'enlist')),
    plain       boolean not null default false,
    branch_xid  xid8,
    timeline    text,
    owner       name,
    fate        text    constraint branch_record_fate check (fate in ('committed', 'rolled back', 'unknown', 'forced commit', 'forced rollback')),
    finished_at timestamptz,
    constraint branch_record_pk primary key (xid, nonce, node)
);
comment on table branch_record is
    'One row per branch of a set, written by the local transaction when it prepares them; a branch that went with a savepoint has none. '
    'node is no foreign key: its check would lock, and so write to, the node''s row with every set. Rows of node are never deleted. '
    'branch_xid, timeline and owner identify the branch on its node; plain means it wrote nothing and was committed, not prepared. '
    'fate is set while some other branch of the set is unfinished, and for good when it is not "committed"; '
    '"forced …" is an order that waits for the node to return, and that nobody waits for.';

alter table branch_record set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000, autovacuum_analyze_scale_factor = 0.02);

create table forced (
    gid          text        not null constraint forced_pk primary key,
    action       text        not null constraint forced_action check (action in ('commit', 'rollback')),
    forced_by    name        not null,
    forced_at    timestamptz not null default clock_timestamp(),
    reason       text        not null,
    accept_mixed boolean     not null default false
);
comment on table forced is 'What a person decided for a branch, and why. It outranks the commit record for that branch, even if the node comes back late.';

create table request (
    id           bigint      not null generated always as identity constraint request_pk primary key,
    kind         text        not null,
    arguments    jsonb       not null,
    requested_by name        not null,
    requested_at timestamptz not null default clock_timestamp(),
    taken_at     timestamptz,
    finished_at  timestamptz,
    result       jsonb,
    error        jsonb
);
comment on table request is 'What people asked the sidecar to do, and its answer. Kept for the retention time.';
create index request_open on request (id) where finished_at is null;

create table event (
    id     bigint      not null generated always as identity constraint event_pk primary key,
    xid    xid8        not null default pg_current_xact_id(),
    at     timestamptz not null default clock_timestamp(),
    kind   text        not null,
    set_id text,
    node   integer,
    who    name        not null default session_user,
    detail text        not null
);
comment on table event is 'Things worth remembering after a set is gone: forced, mixed, unknown, adopted.';
create index event_set on event (set_id);

create table sidecar (
    only_row   boolean     not null default true constraint sidecar_one_row primary key constraint sidecar_only_row check (only_row),
    home       text        not null,
    host       text        not null,
    pid        integer     not null,
    version    text        not null,
    started_at timestamptz not null,
    seen_at    timestamptz not null default clock_timestamp(),
    acting     boolean     not null,
    note       text        not null,
    state_directory text   not null,
    state_bytes bigint     not null default 0,
    state_sets integer     not null default 0
);
comment on table sidecar is 'What the sidecar last said of itself. Whether it lives is told by its advisory lock, not by this row.';

create table node_status (
    node          integer     not null constraint node_status_pk primary key constraint node_status_node references node,
    reachable     boolean     not null,
    since         timestamptz not null,
    checked_at    timestamptz not null,
    latency_ms    double precision,
    version       text,
    prepared_max  integer,
    prepared_used integer,
    finishing_as  name,
    fence         text        not null,
    sqlstate      text,
    message       text
);
comment on table node_status is 'What the sidecar last saw of each node; since says when it became reachable or unreachable.';

create table branch_status (
    gid           text        not null constraint branch_status_pk primary key,
    node          integer     not null constraint branch_status_node references node,
    state         text        not null,
    decision      text        not null,
    prepared_at   timestamptz,
    owner         name,
    attempts      integer     not null default 0,
    next_retry_at timestamptz,
    sqlstate      text,
    message       text,
    first_seen_at timestamptz not null default clock_timestamp(),
    seen_at       timestamptz not null default clock_timestamp()
);
-- Thousands of rows may be written again at every try to reach a node: with room beside them no index is touched.
alter table branch_status set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
comment on table branch_status is 'Branches in doubt or in trouble as the sidecar last saw them. A copy for reading: no decision is taken from it.';
