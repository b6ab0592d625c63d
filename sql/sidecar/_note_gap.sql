-- A slot was made anew: the feed says so, and the next request for watched() counts it.
create or replace function pglobalxact._note_gap(node integer, lsn pg_lsn, why text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pglobalxact.decoded_event (node, lsn, kind, gid, at) values (_note_gap.node, _note_gap.lsn, 'gap', '', clock_timestamp())
    on conflict on constraint decoded_event_pk do nothing;
    update pglobalxact.watch_status s set remade = s.remade + 1 where s.node = _note_gap.node;
    insert into pglobalxact.event (kind, node, detail) values ('watch gap', _note_gap.node, why);
end
$$;
comment on function pglobalxact._note_gap(integer, pg_lsn, text) is 'Internal. Notes that a watched node''s slot was made anew.';
revoke all on function pglobalxact._note_gap(integer, pg_lsn, text) from public;
