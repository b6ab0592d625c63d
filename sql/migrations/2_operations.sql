-- What people need to run it: pauses, lost nodes, what is at stake, who else prepares here.

alter table coordinator
    add column paused_at    timestamptz,
    add column paused_by    name,
    add column pause_reason text,
    add constraint coordinator_pause_is_whole check (num_nonnulls(paused_at, paused_by, pause_reason) in (0, 3));
comment on column coordinator.paused_at is 'Since when no new set may begin; null while sets may.';

create sequence pause_switch as smallint minvalue 0 maxvalue 1 start 0;
comment on sequence pause_switch is
    '1 as long as coordinator.paused_at may be set: a set that begins then looks there. A sequence, because what it holds is seen by every '
    'transaction at once, whatever snapshot it has.';

alter table node
    add column lost_at     timestamptz,
    add column lost_by     name,
    add column lost_reason text,
    add constraint node_loss_is_whole check (num_nonnulls(lost_at, lost_by, lost_reason) in (0, 3));
comment on column node.lost_at is 'Since when nobody waits for this node any more, by order of a person. Should it return, the commit records settle its branches.';

alter table branch_record
    drop constraint branch_record_fate,
    add constraint branch_record_fate check (fate in ('committed', 'rolled back', 'unknown', 'lost', 'forced commit', 'forced rollback'));
comment on column branch_record.fate is
    'Set while some other branch of the set is unfinished, and for good when it is not "committed". "lost": nobody waits for it any more; '
    '"forced …": an order that waits for the node to return.';
create index branch_record_lost on branch_record (node) where fate = 'lost';

alter table node_status
    add column oldest_prepared_at timestamptz,
    add column can_finish         text,
    add column standbys           text,
    add column timeline           text;
comment on column node_status.timeline is 'Where this differs from the node''s own, finished branches are yet to be looked for there: a failover may have lost them.';
comment on column node_status.can_finish is 'The owners whose branches the sidecar''s role there may finish.';

alter table branch_status
    add column xid        xid8,
    add column locks      text,
    add column blocked    integer,
    add column holds_back bigint,
    add column forgotten  boolean not null default false,
    add column set_xid    xid8,
    add column set_nonce  text,
    add column set_node   integer;
comment on column branch_status.set_xid is 'With set_nonce and set_node, the parts of gid, to be joined by; null where the gid is none of ours.';
comment on column branch_status.forgotten is 'By order of a person nobody waits for it while its node is away.';
comment on column branch_status.blocked is 'Sessions that wait for a lock this branch holds.';
comment on column branch_status.holds_back is 'Transactions since this one began that vacuum must keep dead rows of, because it is still open.';

alter table sidecar
    add column looked_at       timestamptz,
    add column queued_branches integer not null default 0,
    add column unwritten       integer not null default 0,
    add column rival           text,
    add column rival_at        timestamptz;
comment on column sidecar.rival is 'Another sidecar that wanted to act for this coordinator at rival_at, and may not.';
comment on column sidecar.queued_branches is 'Branches queued for nodes that answer.';
comment on column sidecar.unwritten is 'Results that are not yet written back.';

create table peer (
    coordinator text        not null constraint peer_pk primary key,
    told        text        not null,
    client_addr inet,
    seen_at     timestamptz not null
);
comment on table peer is 'Other coordinators whose sidecars have been connected here: where to ask about branches of theirs.';

create index event_at on event (at);
