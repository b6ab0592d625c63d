/**
 * What a role with nothing, and a program with pglobalxact_user, can do to others: nothing but a nuisance, and that is shown.
 * (test/crash/invariants.test.ts has gids of other origin and squatters one at a time, test/sidecar/fence.test.ts squatters at
 * nodes, test/sidecar/doorbell.test.ts payloads, test/sql/roles.test.ts rights.)
 */
import { expect } from 'chai'
import type { Client } from 'pg'
import { fillAccounts, refused, rows, value } from '../support/refused'
import { until } from '../support/wait'
import { PASSWORDS, World } from '../support/world'

const SPARES = [0, 16, 32, 48]
const CLASSES = [0x70677831, 0x70677832, 0x70677833, 0x70677834, 0x70677835]

describe('a hostile role', () => {
    let world: World
    let own: string
    const clients: Client[] = []

    before(async () => {
        world = await World.create({ name: 'hostile' })
        own = (await world.sql<{ id: string }>('select id from pglobalxact.coordinator'))[0]!.id
        const make = `do $$ begin create role nobody_here login password 'nobody-7'; exception when duplicate_object then null; end $$;
            grant create, usage on schema public to nobody_here`
        await world.sql(make)
        for (const name of world.nodes.keys()) await world.node(name, make)
    })
    after(() => world?.destroy())
    beforeEach(() => fillAccounts(world))
    afterEach(async () => {
        await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)))
        if (world.sidecar?.running !== true) await world.startSidecar()
        await world.settled()
    })

    const keep = async (client: Promise<Client>): Promise<Client> => {
        clients.push(await client)
        return client
    }
    const app = () => keep(world.coordinator.connect(world.login('app')))
    const nobody = (application_name = '') =>
        keep(world.coordinator.connect({ database: world.database, user: 'nobody_here', password: 'nobody-7', application_name }))
    const onNode = (user: 'nobody_here' | 'node_app', application_name = '', node = 'b') =>
        keep(
            world.nodes.get(node)!.connect({
                database: world.database,
                user,
                password: user === 'node_app' ? PASSWORDS.node_app : 'nobody-7',
                application_name
            })
        )
    /** A set of a victim commits and is finished everywhere. */
    async function setWorks(): Promise<void> {
        const before = await world.balances()
        const victim = await app()
        await world.transfer(victim)
        await victim.query('commit')
        expect(await value(victim, 'select pglobalxact.await()')).to.equal('committed')
        const after = await world.balances()
        expect([after['a']! - before['a']!, after['b']! - before['b']!, after['c']! - before['c']!]).to.deep.equal([-20, 10, 10])
    }
    const prepared = (node = 'b') =>
        world.node<{ gid: string; owner: string }>(
            node,
            'select gid, owner from pg_prepared_xacts where database = current_database() order by gid'
        )
    async function prepareAs(gid: string, user: 'nobody_here' | 'node_app' = 'nobody_here', node = 'b'): Promise<void> {
        const client = await onNode(user, '', node)
        await client.query('begin; select pg_current_xact_id()')
        await client.query(`prepare transaction '${gid}'`)
    }
    const gidOf = async (xid: string, node: number): Promise<string> => {
        const [found] = await world.sql<{ n: string }>('select pglobalxact._nonce($1, $2::xid8, pg_postmaster_start_time()) as n', [
            own,
            xid
        ])
        return `pgx_${own}_${xid}_${found!.n}_${node}`
    }
    const rollbackAll = async (): Promise<void> => {
        for (const node of world.nodes.keys())
            for (const { gid } of await prepared(node)) await world.node(node, `rollback prepared '${gid}'`).catch(() => undefined)
    }

    describe('that sends notifications', () => {
        it('by the thousand, on every channel and with any payload, changes nothing and is not believed', async () => {
            const victim = await app()
            const set = await world.transfer(victim)
            for (const sender of [await nobody(), await app()]) {
                for (const payload of [
                    '',
                    set,
                    `pgx_${own}_${set}_1`,
                    '{"kind":"force","action":"commit"}',
                    `'; drop schema pglobalxact cascade; --`,
                    'x'.repeat(7000)
                ])
                    await sender.query(
                        `select count(pg_notify(c, $1 || i)) from unnest(array['pglobalxact', 'pglobalxact_echo', 'awake', 'committing']) c, generate_series(1, 300) i`,
                        [payload]
                    )
            }
            expect(await value(victim, 'select pglobalxact.outcome($1)', [set])).to.equal('in progress')
            await victim.query('commit')
            expect(await value(victim, 'select pglobalxact.await()')).to.equal('committed')
            await setWorks()
            expect(await world.sql('select sidecar from pglobalxact.status()')).to.deep.equal([{ sidecar: 'acting' }])
        })
    })

    describe('that takes advisory locks', () => {
        it('all of them, with all spares, in every mode, only delays: sets that are open commit, and it is named', async () => {
            const victim = await app()
            await world.transfer(victim)
            const squatter = await nobody()
            const squat = async (): Promise<void> => {
                for (const one of CLASSES.flatMap((c) => SPARES.map((s) => c + s)))
                    for (const key of [0, 1, 2, Number.parseInt(own, 16) | 0])
                        await squatter.query('select pg_try_advisory_lock($1, $2)', [one, key])
            }
            await squat()
            await victim.query('commit')
            expect(await value(victim, 'select pglobalxact.await()')).to.equal('committed')
            await squat() // now those that the set held too
            // The next set cannot be marked: it is refused, and the error leads to who it is.
            const { hint } = await refused(world.transfer(await app()), {
                code: '55P03',
                message: /^the set cannot be marked as in flight: other sessions hold its advisory locks$/
            })
            const query = /^See who: (select .*);$/.exec(hint ?? '')![1]!
            expect((await world.sql<{ pid: number }>(query)).map(({ pid }) => pid)).to.include(
                await value(squatter, 'select pg_backend_pid()')
            )
            await squatter.end()
            await setWorks()
        })

        it('to keep a sidecar from being elected, under every spare, is named in status() and by its own calls', async () => {
            await world.sidecar!.stop()
            const squatter = await nobody()
            for (const spare of SPARES) await squatter.query('select pg_advisory_lock($1, 0)', [0x70677834 + spare])
            const victim = await app()
            await world.transfer(victim)
            await victim.query('commit')
            const started = world.startSidecar()
            started.catch(() => undefined)
            await until(
                'it says who',
                async () =>
                    (
                        await world.sql(
                            `select from pglobalxact.status() where sidecar = 'waiting' and note ~ 'held by others: role "nobody_here", pid [0-9]+'`
                        )
                    ).length === 1
            )
            await squatter.end()
            await started
            expect(await value(victim, 'select pglobalxact.await()')).to.equal('committed')
        })
    })

    describe('that prepares transactions under gids of our form', () => {
        afterEach(rollbackAll)

        it('of a set that runs: the set fails as a whole, the error names the gid, and nothing of the set is left', async () => {
            const victim = await app()
            const set = await world.transfer(victim)
            await prepareAs(`pgx_${own}_${set}_1`)
            await refused(victim.query('commit'), {
                code: '42710',
                message: new RegExp(`^set rolled back: node "b": transaction identifier "pgx_${own}_${set}_1" is already in use$`)
            })
            expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1000 })
            await until('no branch is left', async () => (await prepared('c')).length === 0)
            await setWorks()
        })

        it('of a set that is enlisted: it does not pass for the work of the program', async () => {
            const victim = await app()
            await victim.query('begin')
            const gid = (await value(victim, `select pglobalxact.enlist('b')`)) as string
            await prepareAs(gid)
            await refused(victim.query('commit'), {
                code: '55000',
                message:
                    /^set rolled back: node "b": transaction "\S+" is not prepared there by this program, but by role "nobody_here", of which the user mapping's role is not a member$/
            })
        })

        it("of sets that are rolled back, or yet to come: they are in nobody's way for long", async () => {
            const victim = await app()
            const set = await world.transfer(victim)
            await victim.query('rollback')
            await world.node('b', 'grant nobody_here to node_sidecar')
            const [next] = await world.sql<{ xid: string }>('select pg_snapshot_xmax(pg_current_snapshot())::text as xid')
            const future = String(BigInt(next!.xid) + 50n)
            await prepareAs(`pgx_${own}_${set}_1`)
            await prepareAs(await gidOf(future, 1))
            await until('both are rolled back', async () => (await prepared()).length === 0)
            await world.node('b', 'revoke nobody_here from node_sidecar')
            await setWorks()
        })

        it('of roles that the sidecar may not act for: they stay, are shown with the reason, and nothing else waits for them', async () => {
            const victim = await app()
            const set = await world.transfer(victim)
            await victim.query('rollback')
            await prepareAs(`pgx_${own}_${set}_1`)
            const shown = await until(
                'it is shown',
                async () =>
                    (
                        await rows<{ state: string; last_error: string }>(
                            await keep(world.coordinator.connect(world.login('watcher'))),
                            `select state, last_error from pglobalxact.branches() where last_error is not null`
                        )
                    )[0]
            )
            expect(shown.state).to.equal('retry')
            expect(shown.last_error).to.match(/permission denied/)
            await setWorks()
        })

        it('of a committed set that is not finished on that node: neither is committed for the other', async () => {
            await world.sidecar!.stop()
            const victim = await app()
            const set = await world.transfer(victim, 10, ['b'])
            await victim.query('commit')
            await refused(prepareAs(`pgx_${own}_${set}_1`), { code: '42710', message: /already in use/ })
            // Not a branch of this set, and on another node; and a node number that is not this node's.
            await prepareAs(`pgx_${own}_${set}_2`, 'node_app', 'c')
            await prepareAs(`pgx_${own}_${set}_7`, 'node_app', 'c')
            await world.startSidecar()
            expect(await value(victim, 'select pglobalxact.await($1)', [set])).to.equal('committed')
            await until('the one that was no branch is rolled back', async () => (await prepared('c')).length === 1)
            expect((await prepared('c'))[0]!.gid).to.equal(`pgx_${own}_${set}_7`)
            expect((await world.balances())['b']).to.equal(1010)
        })

        it('or finishes those of others: it may not', async () => {
            await world.sidecar!.stop()
            const victim = await app()
            const set = await world.transfer(victim, 10, ['b'])
            await victim.query('commit')
            const hostile = await onNode('nobody_here')
            for (const how of ['commit', 'rollback'])
                await refused(hostile.query(`${how} prepared 'pgx_${own}_${set}_1'`), { code: '42501', message: /permission denied/ })
            await world.startSidecar()
            expect(await value(victim, 'select pglobalxact.await($1)', [set])).to.equal('committed')
        })
    })

    describe('that plants functions, operators and tables', () => {
        // They fit better than PostgreSQL's own where one side is a literal, or a type that only casts.
        const PAIRS = [
            'name, name',
            'name, text',
            'text, tid',
            'oid, regnamespace',
            'oid, regproc',
            'numeric, bigint',
            'bigint, numeric',
            'integer, text',
            'text, integer',
            'text, name'
        ]
        const SIGNS = ['=', '<>', '~', '~~', '||', '%', '-', '+', '/', '*', '<', '>', '>=', '<=']
        const FUNCTIONS = [
            ['format', 'text, integer'],
            ['left', 'text, bigint'],
            ['format', 'text, name'],
            ['quote_ident', 'name'],
            ['string_agg', 'name, text'],
            ['to_regrole', 'name']
        ]
        async function plant(client: Client): Promise<void> {
            await client.query(
                `create table if not exists public.trap (what text, who name default current_user, session name default session_user); grant insert, select on public.trap to public`
            )
            const body = (what: string) => `language plpgsql as $$ begin insert into public.trap values ('${what}'); return null; end $$`
            let traps = 0
            const operator = async (sign: string, left: string, right: string): Promise<void> => {
                const result = sign === '||' ? 'text' : '%-+/*'.includes(sign) ? 'numeric' : 'boolean'
                const name = `public.trap_${++traps}`
                await client.query(`create function ${name}(${left}, ${right}) returns ${result} ${body(`${left} ${sign} ${right}`)}`)
                await client.query(`create operator public.${sign} (leftarg = ${left}, rightarg = ${right}, function = ${name})`)
            }
            for (const pair of PAIRS) for (const sign of SIGNS) await operator(sign, ...(pair.split(', ') as [string, string]))
            await operator('||', 'integer', 'integer')
            for (const [name, args] of FUNCTIONS)
                await client.query(`create function public.${name}(${args}) returns text ${body(`${name}(${args})`)}`)
        }
        const TRAPPED = 'select distinct what, who, session from public.trap'

        it("on a node, where others' roles look for names: neither the sidecar nor a program runs them", async () => {
            await plant(await onNode('nobody_here'))
            await world.node('b', 'delete from public.trap')
            const victim = await app()
            await world.transfer(victim)
            expect(
                await rows(victim, `select * from pglobalxact.query('b', 'select id, balance from account') as t (id int, balance bigint)`)
            ).to.deep.equal([{ id: 1, balance: '1010' }])
            await world.admin('select * from pglobalxact.recover()')
            await world.admin(`select * from pglobalxact.check_node('b')`)
            await victim.query('commit')
            await value(victim, 'select pglobalxact.await()')
            // A new fence and new connections, a fate to be looked up, and an enlisted branch.
            await world.sidecar!.stop()
            await world.transfer(victim, 10, ['b'])
            await victim.query('commit')
            const [branch] = await prepared()
            const byHand = await onNode('node_app')
            await byHand.query(`commit prepared '${branch!.gid}'`)
            await world.startSidecar()
            await value(victim, 'select pglobalxact.await()')
            await victim.query('begin')
            const gid = (await value(victim, `select pglobalxact.enlist('b')`)) as string
            await byHand.query('begin; select pg_current_xact_id()')
            await byHand.query(`prepare transaction '${gid}'`)
            await world.admin('select * from pglobalxact.recover()')
            await victim.query('commit')
            await world.settled()
            expect(await world.node('b', TRAPPED)).to.deep.equal([])
        })

        it('on the coordinator: neither a session, nor the sidecar, nor an installation by a superuser runs them', async () => {
            await plant(await nobody())
            await world.sql('delete from public.trap')
            const victim = await app()
            await world.transfer(victim)
            await rows(victim, `select * from pglobalxact.query('b', 'select id from account') as t (id int)`)
            await victim.query('commit')
            await value(victim, 'select pglobalxact.await()')
            for (const call of [
                'sets()',
                'branches()',
                'nodes()',
                'status()',
                'requests()',
                'state_lines()',
                `check_node('b')`,
                'recover()',
                'drain()',
                'resume()'
            ])
                await world.admin(`select * from pglobalxact.${call}`)
            await world.sidecar!.stop()
            await world.install()
            await world.startSidecar()
            expect(await world.sql(TRAPPED)).to.deep.equal([])
        })

        it('in its own session, as temporary objects: it gets no further than its own transaction', async () => {
            const hostile = await app()
            for (const name of [
                'coordinator',
                'node',
                'commit_record',
                'branch_record',
                'server_start',
                'forced',
                'request',
                'home',
                'pause_switch',
                'pg_locks',
                'pg_stat_activity',
                'pg_prepared_xacts',
                'pg_foreign_server'
            ])
                await hostile.query(
                    `create temp table ${name} (id text, number int, name text, last_value int, xid xid8, nonce text, started_at timestamptz, node int)`
                )
            await hostile.query(`create function pg_temp.current_setting(text) returns text language sql as $$ select 'x' $$`)
            await hostile.query(
                `create function pg_temp._nonce(text, xid8, timestamptz) returns text language sql as $$ select '00000000' $$`
            )
            await hostile.query('set search_path = pg_temp, public, pg_catalog')
            const set = await world.transfer(hostile)
            expect(set).to.match(/^[1-9]\d*_(?!00000000)[0-9a-f]{8}$/)
            await hostile.query('commit')
            expect(await value(hostile, 'select pglobalxact.await()')).to.equal('committed')
        })
    })

    describe('that pretends to be another', () => {
        it('by an application_name has no session ended but, at worst, its own', async () => {
            const victim = await app()
            await world.transfer(victim)
            const names = await world.node<{ name: string; mine: boolean }>(
                'b',
                `select distinct application_name as name, application_name ~ '_sidecar_' as mine from pg_stat_activity where datname = current_database() and application_name like 'pgx%' and application_name like $1`,
                [`%${own}%`]
            )
            expect(names.map(({ mine }) => mine)).to.include.members([true, false])
            const strangers: Client[] = []
            for (const { name } of names)
                for (const user of ['nobody_here', 'node_app'] as const) {
                    const stranger = await onNode(user, name)
                    await stranger.query('begin; select pg_current_xact_id()')
                    await stranger.query('select pg_try_advisory_lock($1, $2)', [0x70677845, Number.parseInt(own, 16) | 0])
                    strangers.push(stranger)
                }
            for (const name of [
                'pglobalxact sidecar',
                'pglobalxact sidecar (work)',
                'pglobalxact sidecar (doorbell)',
                'pglobalxact install'
            ]) {
                const stranger = await nobody(name)
                await stranger.query('begin; select pg_current_xact_id()')
                strangers.push(stranger)
            }
            const bystander = await onNode('node_app')
            await bystander.query('begin; select pg_current_xact_id()')
            await world.sidecar!.stop()
            await world.startSidecar()
            await world.admin('select * from pglobalxact.recover()')
            // While the victim's set is in flight, all who bear its session's name pass for it.
            for (const one of [...strangers, bystander]) expect(await value(one, 'select 1')).to.equal(1)
            await victim.query('commit')
            expect(await value(victim, 'select pglobalxact.await()')).to.equal('committed')
            await world.admin('select * from pglobalxact.recover()')
            expect(await value(bystander, 'select 1')).to.equal(1)
            await setWorks()
        })

        it('by settings of pglobalxact breaks its own set only', async () => {
            const hostile = await app()
            for (const trick of [
                `set local pglobalxact.step = 7`,
                `set local pglobalxact.gid = 'pgx_${own}_1_00000000_1'`,
                `reset pglobalxact.step`
            ]) {
                await hostile.query('begin')
                await hostile.query(`select pglobalxact.exec('b', 'update account set balance = 0')`)
                await hostile.query(`select pglobalxact.exec('b', $1)`, [trick])
                await refused(hostile.query('commit'), {
                    code: '22P02|40000',
                    message: /^set rolled back: node "b": the branch does not match the local transaction$/
                })
            }
            for (const last of [`'; select 1 --`, '1_00000000', 'pgx_00000000_1_00000000_1']) {
                await hostile.query(`select set_config('pglobalxact.last_set', $1, false)`, [last])
                await refused(hostile.query('select pglobalxact.await()'), { code: '22023|42704', message: /./ })
            }
            // Its own choice: then its set is what it made of it, and stays on the books.
            await hostile.query(`set pglobalxact.verify_enlisted = off`)
            await hostile.query('begin')
            const gid = (await value(hostile, `select pglobalxact.enlist('c')`)) as string
            await hostile.query('commit')
            const set = gid.split('_').slice(2, 4).join('_')
            await until(
                'it is shown',
                async () =>
                    (await world.sql(`select from pglobalxact.sets() where set_id = $1 and outcome = 'unknown'`, [set])).length === 1
            )
            await world.admin('select pglobalxact.acknowledge($1, $2)', [set, 'test'])
            await setWorks()
        })
    })

    describe('that calls what it may', () => {
        const HOSTILE = [
            `''`,
            'null',
            `'b'`,
            `'''; drop table account; --'`,
            `'host=127.0.0.1 dbname=postgres'`,
            `'pglobalxact_loopback'`,
            `'$$;'`,
            `E'b\\n'`,
            `repeat('x', 9000)`,
            `'1_00000000'`
        ]
        const NUMBERS = ['0', '-1', '2147483647', 'null']

        it('with hostile arguments, every function that is granted: it gets errors, and no row of another', async function () {
            this.timeout(120_000)
            const hostile = await app()
            const granted = await rows<{ name: string; types: string[] }>(
                hostile,
                `select p.oid::regproc::text as name, array(select format_type(t, null) from unnest(p.proargtypes) with ordinality u (t, i) order by i) as types
                 from pg_proc p where p.pronamespace = (select oid from pg_namespace where nspname = 'pglobalxact') and has_function_privilege(p.oid, 'execute') and p.prorettype <> 'trigger'::regtype`
            )
            expect(granted.map(({ name }) => name)).to.include.members([
                'pglobalxact.exec',
                'pglobalxact._join_set',
                'pglobalxact._connect'
            ])
            const books = () =>
                world.sql(
                    'select (select count(*) from pglobalxact.commit_record) as sets, (select count(*) from pglobalxact.request) as requests, (select count(*) from pglobalxact.forced) as forced, (select array_agg(id) from pglobalxact.home) as homes'
                )
            const before = await books()
            await hostile.query(`set statement_timeout = '3s'`)
            for (const { name, types } of granted) {
                for (let i = 0; i < HOSTILE.length; i++) {
                    const given = types.map((type, at) =>
                        type === 'text' || type === 'name'
                            ? HOSTILE[(i + at * 3) % HOSTILE.length]!
                            : /int|oid|xid8/.test(type)
                              ? `${NUMBERS[i % NUMBERS.length]}::text::${type}`
                              : type === 'interval'
                                ? `'100 ms'`
                                : `null::${type}`
                    )
                    await hostile.query('begin')
                    await hostile.query(`select pglobalxact.exec('c', 'set local a.b = 1')`)
                    const call =
                        name === 'pglobalxact.query'
                            ? `select * from ${name}(${given.join(', ')}) as t (n int)`
                            : `select ${name}(${given.join(', ')})`
                    await hostile
                        .query(call)
                        .catch((error: { code?: string }) =>
                            expect(error.code, `${call}: ${String(error)}`).to.not.be.oneOf([undefined, 'XX000'])
                        )
                    await hostile.query('rollback')
                }
            }
            expect(await books()).to.deep.equal(before)
            expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1000 })
        })

        it('a SECURITY DEFINER function that runs a set as its owner: it gets that and not the connection', async () => {
            const owner = await app()
            await owner.query(`create or replace function public.pay(amount int) returns text language sql security definer set search_path = pg_catalog, pg_temp
                as $$ select pglobalxact.exec('b', format('update account set balance = balance + %s', amount)) $$`)
            const caller = await nobody()
            await caller.query('begin')
            expect(await value(caller, 'select public.pay(5)')).to.equal('UPDATE 1')
            await caller.query('commit')
            await until('it is committed', async () => (await world.balances())['b'] === 1005)
            await caller.query('begin')
            await caller.query('select public.pay(5)')
            const [app16] = await world.sql<{ oid: number }>(`select 'app'::regrole::oid::int as oid`)
            for (const call of [
                `dblink_exec('pgx_1_${app16!.oid}', 'update account set balance = 0')`,
                'dblink_get_connections()',
                `dblink_connect('x', 'host=127.0.0.1')`
            ]) {
                await caller.query('savepoint s')
                await refused(caller.query(`select public.${call}`), { code: '42501', message: /^permission denied for function dblink_/ })
                await caller.query('rollback to s')
            }
            await refused(caller.query(`select pglobalxact.exec('b', 'update account set balance = 0')`), {
                code: '42501',
                message: /^permission denied for schema pglobalxact$/
            })
            await caller.query('rollback')
            await owner.query('drop function public.pay(int)')
        })

        it("reads no password and nobody else's SQL", async () => {
            const victim = await app()
            await victim.query('begin')
            await victim.query(`select pglobalxact.exec('b', 'update account set balance = balance + 0 /* a secret of the victim */')`)
            const hostile = await nobody()
            const seen = JSON.stringify([
                await rows(hostile, 'select * from pg_user_mappings'),
                await rows(hostile, 'select * from pg_foreign_server'),
                await rows(hostile, 'select * from pg_stat_activity'),
                await rows(hostile, 'select * from pg_locks'),
                await rows(await onNode('nobody_here'), 'select * from pg_stat_activity')
            ])
            for (const secret of [...Object.values(PASSWORDS), 'a secret of the victim']) expect(seen).to.not.contain(secret)
            const program = await app()
            const mappings = JSON.stringify(await rows(program, `select * from pg_user_mappings where usename <> 'app'`))
            for (const secret of Object.values(PASSWORDS)) expect(mappings).to.not.contain(secret)
            expect(mappings).to.not.contain('password=')
            await victim.query('rollback')
        })
    })
})
