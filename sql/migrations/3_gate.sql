-- What holds commits of sets for a moment, so that something can be done on many servers between two of them.

create table gate (
    only_row  boolean     not null default true constraint gate_one_row primary key constraint gate_only_row check (only_row),
    closed_at timestamptz,
    held      interval,
    purpose   text
);
comment on table gate is
    'Its lock is the gate: whoever has it in EXCLUSIVE mode holds up the commits of sets (see pglobalxact._close_gate). Its row says when that was last, for how long, and for what.';
insert into gate default values;
