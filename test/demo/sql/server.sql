-- On the coordinator: where a node is, and who is who there.
create server @node@ foreign data wrapper dblink_fdw options (host '@host@', port '@port@', dbname 'bank', connect_timeout '5');
grant usage on foreign server @node@ to app, dba, pglobalxact;
create user mapping for app server @node@ options (user 'app', password '@app@');
create user mapping for dba server @node@ options (user 'app', password '@app@');
create user mapping for pglobalxact server @node@ options (user 'pglobalxact', password '@pglobalxact@');
