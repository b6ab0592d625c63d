-- Evidence that all is as the records say: what verify() found, what drill() tried. And who waits for a request's answer.

alter table request add column waiter integer;
alter table request alter column waiter set default pg_backend_pid();
comment on column request.waiter is 'The session on the loopback that waits for the answer: what takes long need not go on when it is gone.';

create table audit (
    id          bigint      not null generated always as identity constraint audit_pk primary key,
    request     bigint      not null,
    asked_by    name        not null,
    started_at  timestamptz not null default clock_timestamp(),
    since       timestamptz not null,
    reached     timestamptz,
    noted_at    timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    sets        bigint      not null default 0,
    branches    bigint      not null default 0,
    findings    jsonb       not null default '[]'
);
comment on table audit is
    'What verify() compared and found, written about once a second while it runs. reached: every set that was complete by then has been compared. '
    'findings: an element per node, finding, and what record and node say, with the number of branches and the first set.';

create table drill (
    id          bigint      not null generated always as identity constraint drill_pk primary key,
    request     bigint      not null,
    asked_by    name        not null,
    started_at  timestamptz not null default clock_timestamp(),
    point       text        not null,
    node        name        not null,
    canary      text,
    set_id      text,
    expected    text        not null constraint drill_expected check (expected in ('committed', 'rolled back')),
    outcome     text,
    took        interval,
    finished_at timestamptz,
    consistent  boolean,
    detail      text,
    evidence    jsonb       not null default '[]',
    constraint drill_end_says_how_it_was check ((finished_at is null) = (consistent is null))
);
comment on table drill is
    'Canary sets that were run into a fault on purpose, and how that ended: evidence, kept for good. took: from the fault, or the decision, until every node agreed.';
