-- Waits for the answer to the request this session entered last. Runs on the loopback.
create or replace function pglobalxact._await_request()
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    number constant bigint := currval('pglobalxact.request_id_seq');
    answer pglobalxact.request;
    pause double precision := 0.001;
begin
    loop
        select * into answer from pglobalxact.request q where q.id = number;
        exit when answer.finished_at is not null;
        if not exists (select from pglobalxact._sidecar_pid()) then
            return jsonb_build_object('error', jsonb_build_object('sqlstate', '55000',
                'message', format('the sidecar stopped before it answered request %s', number),
                'hint', 'What it did is not known here: look with pglobalxact.sets() once it runs again.'))::text;
        end if;
        perform pg_sleep(pause);
        pause := least(pause * 1.3, 0.05);
    end loop;
    return jsonb_build_object('result', answer.result, 'error', answer.error)::text;
end
$$;
comment on function pglobalxact._await_request() is 'Internal. Waits for the answer to this session''s last request.';
revoke all on function pglobalxact._await_request() from public;
grant execute on function pglobalxact._await_request() to @loopback_role@;
