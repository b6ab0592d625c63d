-- The table that a DBA names for canary rows ($1), and whether it is one in which nobody but this login and superusers can have laid a trap:
-- what hangs on a table (triggers, rules, defaults) would run with the rights of this login, which can become other roles.
select format('%I.%I', n.nspname, c.relname) as name,
       c.relkind = 'r'
           and not exists (select from pg_catalog.pg_trigger t where t.tgrelid = c.oid)
           and not exists (select from pg_catalog.pg_rewrite w where w.ev_class = c.oid)
           and c.relowner = (select r.oid from pg_catalog.pg_roles r where r.rolname = session_user)
           and not exists (select from aclexplode(c.relacl) x where x.privilege_type = 'TRIGGER' and x.grantee <> c.relowner)
           and exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attname = 'drill' and a.atttypid = 'bigint'::regtype and not a.attisdropped) as fit
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = coalesce(to_regclass($1), case when position('.' in $1) = 0 then to_regclass('public.' || $1) end)
