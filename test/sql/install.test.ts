import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { startCluster, type Cluster } from '../support/cluster'
import { runCommand, startSidecar, type CommandResult } from '../support/process'
import { until } from '../support/wait'
import { workDir } from '../support/workdir'

const ROLES = ['pglobalxact', 'pglobalxact_admin', 'pglobalxact_monitor', 'pglobalxact_user']
let databases = 0

describe('install', () => {
    let cluster: Cluster
    let db: string

    before(async () => {
        cluster = await startCluster({ name: 'install' })
    })
    beforeEach(async () => {
        db = `shop_${++databases}`
        await cluster.createDatabase(db)
    })
    afterEach(() => cluster.dropDatabase(db))
    after(() => cluster.destroy())

    const sql = <R extends Record<string, unknown>>(text: string, params: readonly unknown[] = []) => cluster.query<R>(text, params, db)
    const run = (command: 'install' | 'uninstall', database = db) => runCommand([command], cluster.env({ database }))
    const succeed = async (command: 'install' | 'uninstall', database = db): Promise<CommandResult> => {
        const result = await run(command, database)
        expect(result, result.stderr).to.include({ code: 0, stderr: '' })
        return result
    }
    const refuse = async (command: 'install' | 'uninstall', message: RegExp, hint: RegExp): Promise<void> => {
        const { code, stdout, stderr } = await run(command)
        expect(stderr).to.match(message)
        expect(stderr).to.match(hint)
        expect({ code, stdout }).to.deep.equal({ code: 2, stdout: '' })
    }
    /** All there is in the schema, each object by its identity and text. */
    const contents = () =>
        sql(`
    select 'function' as kind, p.oid::regprocedure::text as name, md5(pg_get_functiondef(p.oid) || coalesce(p.proacl::text, '')) as text from pg_proc p where p.pronamespace = 'pglobalxact'::regnamespace
    union all select c.relkind::text, c.oid::text || c.relname, c.relowner::regrole::text || coalesce(c.relacl::text, '') from pg_class c where c.relnamespace = 'pglobalxact'::regnamespace
    union all select 'trigger', t.tgname, pg_get_triggerdef(t.oid) from pg_trigger t where t.tgrelid = 'pglobalxact.commit_record'::regclass
    union all select 'row', 'coordinator', (select c::text from pglobalxact.coordinator c)
    union all select 'row', 'migrations', (select string_agg(m::text, '; ') from pglobalxact.migrations m)
    order by 1, 2, 3`)

    it('makes the schema, and the four roles where they are missing', async () => {
        const { stdout } = await succeed('install')
        const [{ id }] = (await sql<{ id: string }>('select id from pglobalxact.coordinator')) as [{ id: string }]
        expect(stdout).to.contain(`pglobalxact is installed in database "${db}" as coordinator ${id}.`)
        expect(
            await sql(
                `select rolname as r, rolcanlogin as login, rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as much from pg_roles where rolname = any ($1) order by 1`,
                [ROLES]
            )
        ).to.deep.equal(ROLES.map((r) => ({ r, login: r === 'pglobalxact', much: false })))
        expect(await sql(`select nspowner::regrole::text as owner from pg_namespace where nspname = 'pglobalxact'`)).to.deep.equal([
            { owner: 'pglobalxact' }
        ])
    })

    it('changes nothing when it runs again, except the password nobody knows', async () => {
        await succeed('install')
        const before = await contents()
        const secret = async () =>
            (await sql<{ umoptions: string[] }>(`select umoptions from pg_user_mappings where srvname = 'pglobalxact_loopback'`))[0]!
                .umoptions
        const password = await secret()
        await succeed('install')
        expect(await contents()).to.deep.equal(before)
        expect(await secret()).not.to.deep.equal(password)
    })

    it('takes turns when it runs several times at once', async () => {
        expect((await Promise.all([1, 2, 3].map(() => run('install')))).map(({ code, stderr }) => `${code}${stderr}`)).to.deep.equal([
            '0',
            '0',
            '0'
        ])
        expect(await sql('select count(*) from pglobalxact.coordinator')).to.deep.equal([{ count: '1' }])
    })

    it('stands an install into another database of the cluster that makes the same roles at the same time', async () => {
        const fresh = await startCluster({ name: 'race' })
        const other = await fresh.connect()
        try {
            for (const [mine, blocked] of [
                ['create role pglobalxact login', 1],
                [
                    'create role pglobalxact_user; create role pglobalxact_monitor; create role pglobalxact_admin; grant pglobalxact_monitor to pglobalxact_admin',
                    1
                ]
            ] as const) {
                await other.query(`begin; ${mine}`)
                const installing = runCommand(['install'], fresh.env({ database: 'postgres' }))
                await until(
                    'it waits for the other',
                    async () =>
                        (
                            await fresh.query(
                                `select from pg_stat_activity where application_name = 'pglobalxact install' and wait_event_type = 'Lock'`
                            )
                        ).length === blocked
                )
                await other.query('commit')
                expect(await installing).to.include({ code: 0, stderr: '' })
                await runCommand(['uninstall'], fresh.env({ database: 'postgres' }))
                await other.query('drop role pglobalxact_user; drop role pglobalxact_monitor; drop role pglobalxact_admin')
            }
        } finally {
            await other.end()
            await fresh.destroy()
        }
    })

    it('refuses a schema newer than the code, and changes nothing', async () => {
        await succeed('install')
        await sql(`insert into pglobalxact.migrations (id, name, hash) values (999, 'from the future', 'x')`)
        const before = await contents()
        await refuse(
            'install',
            /^pglobalxact: schema pglobalxact is at version 999, newer than this code \(\d+\)$/m,
            /^ {2}hint: Install with the version of pglobalxact that made it, or a later one\.$/m
        )
        expect(await contents()).to.deep.equal(before)
    })

    it("neither touches nor is confused by migrations tables of the user's own", async () => {
        await sql(`create table public.migrations (id int primary key, what text); insert into public.migrations values (1, 'mine'), (2, 'mine too');
      create schema app; create table app.migrations (version text); insert into app.migrations values ('2024'); alter database ${db} set search_path = app, public`)
        await succeed('install')
        await succeed('install')
        expect(await sql('select * from public.migrations order by 1')).to.deep.equal([
            { id: 1, what: 'mine' },
            { id: 2, what: 'mine too' }
        ])
        expect(await sql('select * from app.migrations')).to.deep.equal([{ version: '2024' }])
        expect(await sql(`select table_schema as s from information_schema.tables where table_name = 'commit_record'`)).to.deep.equal([
            { s: 'pglobalxact' }
        ])
        await succeed('uninstall')
        expect(await sql('select count(*) from public.migrations')).to.deep.equal([{ count: '2' }])
    })

    it('replaces functions of an older version whose result or parameters were others, and drops those that are gone', async () => {
        await succeed('install')
        const before = await contents()
        await sql(`set role pglobalxact;
      drop function pglobalxact.nodes(); create function pglobalxact.nodes() returns table (node text) language sql as 'select ''old''';
      drop function pglobalxact.outcome(text); create function pglobalxact.outcome(text) returns integer language sql as 'select 1';
      create function pglobalxact.exec(a int) returns int language sql as 'select 1';
      create function pglobalxact.long_gone(a int) returns int language sql as 'select 1';
      create procedure pglobalxact._gone_too() language sql as 'select 1';
      drop view pglobalxact.in_flight cascade;
      drop function pglobalxact._nonce(text, xid8, timestamptz) cascade; create function pglobalxact._nonce(text, xid8, timestamptz) returns integer language sql as 'select 1';
      create view pglobalxact.in_flight as select pglobalxact._nonce('', '1', now()) as old`)
        await succeed('install')
        const kept = (rows: typeof before) => rows.filter((row) => row['kind'] !== 'v')
        expect(kept(await contents())).to.deep.equal(kept(before))
        expect(await sql('select * from pglobalxact.in_flight')).to.deep.equal([])
        expect(await sql(`select pglobalxact.outcome('1_00000000') as o`)).to.deep.equal([{ o: 'unknown' }])
    })

    it("leaves everything as it was when a user's object stands in the way", async () => {
        await succeed('install')
        await sql(`set role pglobalxact; drop function pglobalxact.nodes(); create function pglobalxact.nodes() returns table (node text) language sql as 'select ''old'''; reset role;
      create view public.mine as select * from pglobalxact.nodes()`)
        const before = await contents()
        const { code, stderr } = await run('install')
        expect(code).to.equal(1)
        expect(stderr).to.match(/cannot drop function pglobalxact\.nodes\(\) because other objects depend on it/)
        expect(await contents()).to.deep.equal(before)
        expect(await sql('select * from mine')).to.deep.equal([{ node: 'old' }])
    })

    it('works in a database with an awkward name, and with dblink in a schema of its own', async () => {
        const odd = `Bob's "shop" 7 %s`.replaceAll('"', '')
        await cluster.createDatabase(odd)
        try {
            await cluster.query(
                `create schema "Ext"; revoke all on schema "Ext" from public; create extension dblink schema "Ext"`,
                [],
                odd
            )
            await succeed('install', odd)
            await succeed('install', odd)
            // The loopback works if this very error comes back through it.
            const error = await cluster.query('select * from pglobalxact.recover()', [], odd).catch((reason: Error) => reason.message)
            expect(error).to.equal('no sidecar is running for this coordinator: nothing was done')
            expect(
                await cluster.query(`select has_schema_privilege('pglobalxact_user', 'Ext', 'usage') as programs`, [], odd)
            ).to.deep.equal([{ programs: true }])
            await succeed('uninstall', odd)
        } finally {
            await cluster.dropDatabase(odd)
        }
    })

    it("writes no secret into the server's log, whatever the server logs", async () => {
        await cluster.reload({
            log_statement: 'all',
            log_min_duration_statement: 0,
            log_min_error_statement: 'debug5',
            log_transaction_sample_rate: 1,
            log_duration: true,
            log_parameter_max_length: -1
        })
        try {
            const start = cluster.log().length
            const secrets: string[] = []
            for (let round = 0; round < 2; round++) {
                await succeed('install')
                const [mapping] = await sql<{ password: string }>(
                    `select substr(o, 10) as password from pg_user_mappings, unnest(umoptions) o where srvname = 'pglobalxact_loopback' and o like 'password=%'`
                )
                secrets.push(mapping!.password)
            }
            const log = cluster.log().slice(start)
            expect(log, 'the log holds the statements before').to.contain('pglobalxact install').and.to.contain('dblink_available')
            for (const secret of secrets) {
                expect(secret).to.have.length.greaterThan(20)
                expect(log.includes(secret), 'the password is in the log').to.equal(false)
            }
            expect(log).not.to.match(/create (role|user mapping)|alter role "?pglobalxact_loopback/i)
        } finally {
            await cluster.reload({
                log_statement: null,
                log_min_duration_statement: null,
                log_min_error_statement: null,
                log_transaction_sample_rate: null,
                log_duration: null,
                log_parameter_max_length: null
            })
        }
    })

    describe('and uninstall', () => {
        it('removes all of it, and what it says it leaves; both may run again', async () => {
            await succeed('install')
            const [{ id }] = (await sql<{ id: string }>('select id from pglobalxact.coordinator')) as [{ id: string }]
            const { stdout } = await succeed('uninstall')
            expect(stdout).to.match(/^pglobalxact is removed\. Its four roles are left/)
            expect(
                await sql(
                    `select (select count(*) from pg_namespace where nspname = 'pglobalxact')::int as schemas, (select count(*) from pg_foreign_server)::int as servers,
        (select count(*) from pg_roles where rolname = 'pglobalxact_loopback_' || $2)::int as loopbacks, (select count(*) from pg_roles where rolname = any ($1))::int as roles`,
                    [ROLES, id]
                )
            ).to.deep.equal([{ schemas: 0, servers: 0, loopbacks: 0, roles: 4 }])
            expect((await succeed('uninstall')).stdout).to.equal('pglobalxact is not installed in this database.\n')
            await succeed('install')
        })

        it('is refused while a set is unfinished: in flight, or decided', async () => {
            await succeed('install')
            // A set's own rows, without a node: all that uninstall looks at.
            await sql(`insert into pglobalxact.node (name, added_by) values ('b', 'postgres');
        alter table pglobalxact.commit_record disable trigger prepare_set;
        insert into pglobalxact.commit_record (xid, nonce, application_name) values ('5', 'abcdef01', '');
        insert into pglobalxact.branch_record (xid, nonce, node, kind) values ('5', 'abcdef01', 1, 'exec')`)
            const before = await contents()
            await refuse(
                'uninstall',
                /^pglobalxact: sets are not finished: 5_abcdef01$/m,
                /^ {2}hint: See: select \* from pglobalxact\.sets\(\);/m
            )
            expect(await contents()).to.deep.equal(before)
            await sql(`update pglobalxact.commit_record set complete_at = now(), outcome = 'committed'`)
            const session = await cluster.connect({ database: db })
            await session.query(`begin; select pglobalxact._join_set('b', 'exec', 0)`)
            await refuse('uninstall', /^pglobalxact: sets are not finished: \d+_[0-9a-f]{8}$/m, /sets\(\)/)
            await session.end()
            await succeed('uninstall')
        })

        it('is refused while the sidecar runs', async () => {
            await succeed('install')
            const sidecar = startSidecar({ stateDir: mkdtempSync(join(workDir(), 'st-')), databaseUrl: cluster.url({ database: db }) })
            try {
                await sidecar.waitForLog(/ acting /)
                await refuse('uninstall', /^pglobalxact: the sidecar of this database is still running$/m, /^ {2}hint: Stop it first\.$/m)
            } finally {
                await sidecar.stop()
            }
            await succeed('uninstall')
        })
    })
})
