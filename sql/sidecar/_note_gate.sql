create or replace function pglobalxact._note_gate(closed_at timestamptz, held interval, purpose text)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    update pglobalxact.gate set closed_at = _note_gate.closed_at, held = _note_gate.held, purpose = _note_gate.purpose
$$;
comment on function pglobalxact._note_gate(timestamptz, interval, text) is 'Internal. Writes down when commits of sets were last held, for how long and for what.';
revoke all on function pglobalxact._note_gate(timestamptz, interval, text) from public;
