create or replace function pglobalxact._shell_word(word text)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select case when word ~ '^[A-Za-z0-9_./:@%+-]+$' then word else '''' || replace(word, '''', '''\''''') || '''' end $$;
comment on function pglobalxact._shell_word(text) is 'Internal. One word for a shell, quoted where needed.';
revoke all on function pglobalxact._shell_word(text) from public;
