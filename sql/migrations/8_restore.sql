-- Moments between two sets that servers can be restored to.

create table restore_point (
    id           text        not null constraint restore_point_pk primary key constraint restore_point_id_form check (id ~ '^[0-9a-f]{16}$'),
    name         text        not null constraint restore_point_name_unique unique,
    begun_at     timestamptz not null default clock_timestamp(),
    asked_by     name        not null,
    timeline     text        not null,
    nodes        integer[]   not null,
    manifest     jsonb,
    completed_at timestamptz,
    failed_at    timestamptz,
    reconciled   jsonb       not null default '{}',
    constraint restore_point_complete_is_whole check ((completed_at is null) = (manifest is null)),
    constraint restore_point_has_one_end check (num_nonnulls(completed_at, failed_at) < 2)
);
comment on table restore_point is
    'A row is committed behind a closed gate, before the restore point is written, and gets its manifest in the transaction that opens the gate again. '
    'So where it has none, on another time line than its own, this database was restored to that moment: to before any set that committed later. '
    'A name is never used twice, not even after a failure: recovery stops at the first restore point of that name. reconciled: by node number, on which time line a node was found restored to it.';
