/** drain(): says "drained" only when no set is open, none can begin, and no node that answers has a branch left. */
import { expect } from 'chai'
import type { Client } from 'pg'
import { psql, PsqlSession, requirePsql } from '../support/psql'
import { fillAccounts, refused, value } from '../support/refused'
import { until } from '../support/wait'
import { PASSWORDS, World } from '../support/world'

const PAUSED = { code: '55000', message: /^pglobalxact is paused since / }
const GATE = 4242

describe('drain', () => {
    let world: World
    let app: Client
    const clients: Client[] = []

    before(requirePsql)
    before(async () => {
        world = await World.create({ name: 'drain', proxied: true, sidecarArgs: ['--node-timeout', '1500'] })
    })
    after(() => world?.destroy())
    beforeEach(async () => {
        await fillAccounts(world)
        app = await session()
    })
    afterEach(async () => {
        await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)))
        for (const proxy of world.proxies.values()) await proxy.restore()
        if (world.sidecar?.running !== true) await world.startSidecar()
        world.sidecar!.resume()
        await world.admin('select pglobalxact.resume()')
        await world.settled()
    })

    async function session(user: 'app' | 'dba' = 'app'): Promise<Client> {
        const client = await world.coordinator.connect(world.login(user))
        clients.push(client)
        return client
    }
    const superuser = async (): Promise<Client> => {
        const client = await world.coordinator.connect({ database: world.database })
        clients.push(client)
        return client
    }
    /** What a DBA types, and all that psql prints. */
    const typed = async (script: string): Promise<string> => {
        const { stdout, stderr } = await psql(world.coordinator, world.login('dba'), `\\set SHOW_CONTEXT never\n${script}`, {
            args: ['-A', '-t']
        })
        return stdout + stderr
    }
    /** A drain under way, with its notices. */
    async function draining(call = `drain('20 seconds')`): Promise<{ notices: string[]; answer: Promise<string>; client: Client }> {
        const client = await session('dba')
        const notices: string[] = []
        client.on('notice', ({ message }) => notices.push(message ?? ''))
        const answer = value(client, `select pglobalxact.${call}`) as Promise<string>
        answer.catch(() => undefined)
        return { notices, answer, client }
    }
    const pid = async (client: Client) => String(await value(client, 'select pg_backend_pid()'))
    const commit = async (client = app): Promise<string> => {
        const set = await world.transfer(client)
        await client.query('commit')
        return set
    }
    const paused = async () => (await world.sql('select from pglobalxact.coordinator where paused_at is not null')).length === 1

    it('with nothing open is done at once, and leaves the pause in effect', async () => {
        expect(await typed('select pglobalxact.drain();')).to.equal('drained\n')
        await refused(commit(), { code: '55000', message: /^pglobalxact is paused since \S+ \S+: maintenance \(by dba\)$/ })
        await app.query('rollback')
        expect(await typed(`select pglobalxact.drain('1 minute', 'ticket 4711');`)).to.equal('drained\n')
        expect(await world.sql('select pause_reason from pglobalxact.coordinator')).to.deep.equal([{ pause_reason: 'maintenance' }])
    })

    it('waits for a set in flight, says for which, and ends when that does', async () => {
        for (const end of ['commit', 'rollback']) {
            await world.transfer(app)
            const { notices, answer } = await draining()
            await until('it says what it waits for', () => notices.length > 0)
            expect(notices).to.deep.equal([`waiting for 1 set: 1 in flight (pid ${await pid(app)} app for 00:00:00)`])
            await app.query(end)
            expect(await answer).to.equal('drained')
            expect(await world.prepared()).to.deep.equal([])
            expect(await world.sql(`select from pg_locks where locktype = 'advisory' and classid = x'70677831'::int::oid`)).to.deep.equal(
                []
            )
            await world.admin('select pglobalxact.resume()')
        }
    })

    it('gives up after its time on a session that is idle in its transaction, names it, and leaves the pause in effect', async () => {
        const set = await world.transfer(app)
        expect(await typed(`select pglobalxact.drain('1 second');`)).to.match(
            new RegExp(
                `^NOTICE: {2}waiting for 1 set: 1 in flight \\(pid \\d+ app for 00:00:0\\d\\)\nERROR: {2}not drained after 00:00:01\n` +
                    `DETAIL: {2}Open: 1 set: 1 in flight \\(pid ${await pid(app)} app for 00:00:0\\d\\)\\.\nThe pause stays in effect\\.\n` +
                    `HINT: {2}See: select \\* from pglobalxact\\.sets\\(\\);.*select pglobalxact\\.resume\\(\\);\n$`
            )
        )
        expect(await paused()).to.equal(true)
        await world.admin('select * from pglobalxact.force_rollback($1, reason => $2, confirm => $3)', [set, 'maintenance', 'yes'])
        expect(await typed(`select pglobalxact.drain('20 seconds');`)).to.equal('drained\n')
    })

    it('tells at most once a second, only what changed, and five sessions at most', async () => {
        const busy = await Promise.all(Array.from({ length: 7 }, () => session()))
        for (const client of busy) await client.query(`begin; select pglobalxact.exec('b', 'set local a.b = 1')`)
        const { notices, answer } = await draining()
        const started = Date.now()
        await until('it says so', () => notices.length === 1)
        expect(notices[0]).to.match(/^waiting for 7 sets: 7 in flight \((pid \d+ app for 00:00:0\d, ){5}…\)$/)
        await until('two and a half seconds have passed', () => Date.now() - started > 2500)
        expect(notices).to.have.length(1)
        for (const client of busy) {
            const before = Date.now()
            await client.query('rollback')
            await until('some time has passed', () => Date.now() - before > 150)
        }
        expect(await answer).to.equal('drained')
        expect(notices.length).to.be.within(2, 3)
    })

    it('works in a transaction block, in REPEATABLE READ, and read only', async () => {
        for (const begin of ['begin', 'begin isolation level repeatable read', 'begin isolation level serializable read only']) {
            await world.transfer(app)
            const client = await session('dba')
            await client.query(`${begin}; select 1 from pg_class limit 1`)
            const answer = value(client, `select pglobalxact.drain('20 seconds')`)
            await until('it has paused', paused)
            await app.query('commit')
            expect(await answer).to.equal('drained')
            await client.query('rollback')
            expect(await paused()).to.equal(true)
            await world.admin('select pglobalxact.resume()')
        }
    })

    it('is not fooled by a database whose transactions are serializable and read only by default', async () => {
        await world.sql(`alter database ${world.database} set default_transaction_isolation = 'serializable'`)
        await world.sql(`alter database ${world.database} set default_transaction_read_only = on`)
        try {
            app = await session()
            await app.query('begin read write')
            await app.query('update account set balance = balance + 1')
            await app.query(`select pglobalxact.exec('b', 'update account set balance = balance + 1')`)
            const { notices, answer } = await draining()
            await until('it waits', () => notices.length > 0)
            world.sidecar!.pause()
            await app.query('commit')
            await until('it sees the commit', () => notices.some((notice) => /^waiting for 1 set: 1 unfinished on node b$/.test(notice)))
            world.sidecar!.resume()
            expect(await answer).to.equal('drained')
        } finally {
            const client = await world.coordinator.connect()
            await client.query(`set default_transaction_read_only = off; alter database ${world.database} reset all`)
            await client.end()
        }
    })

    it('refuses to wait for its own transaction', async () => {
        await world.sql('grant pglobalxact_user to dba; grant usage on foreign server b to dba')
        await world.sql(`create user mapping if not exists for dba server b options (user 'node_app', password '${PASSWORDS.node_app}')`)
        const dba = await session('dba')
        await dba.query(`begin; select pglobalxact.exec('b', 'set local a.b = 1')`)
        await refused(dba.query('select pglobalxact.drain()'), {
            code: '55000',
            message: /^this transaction has a set of its own/,
            hint: /^COMMIT or ROLLBACK first/
        })
        expect(await paused()).to.equal(false)
        await dba.query('rollback')
    })

    it('needs a reason and a timeout', async () => {
        await refused(world.admin(`select pglobalxact.drain(reason => ' ')`), { code: '22023', message: /^a reason is needed/ })
        await refused(world.admin('select pglobalxact.drain(null)'), { code: '22023', message: /^a timeout is needed/ })
        expect(await paused()).to.equal(false)
        await world.transfer(app)
        await refused(world.admin(`select pglobalxact.drain('-1 day')`), { code: '55000', message: /^not drained after -1 days$/ })
        await app.query('rollback')
    })

    describe('interrupted', () => {
        it('by Ctrl-C or statement_timeout gives the prompt back, leaves no connection, and the pause in effect', async () => {
            await world.transfer(app)
            const terminal = await PsqlSession.open(world.coordinator, world.login('dba'), ['-A', '-t'])
            const loopbacks = () =>
                world.sql(`select from pg_stat_activity where datname = current_database() and usename like 'pglobalxact_loopback_%'`)
            try {
                const answer = terminal.send('select pglobalxact.drain();')
                await until('it waits', async () => (await paused()) && (await loopbacks()).length > 0)
                terminal.interrupt()
                expect(await answer).to.match(/ERROR: {2}canceling statement due to user request/)
                await until('no connection is left', async () => (await loopbacks()).length === 0)
                expect(await terminal.send(`set statement_timeout = '300ms'; select pglobalxact.drain();`)).to.match(
                    /ERROR: {2}canceling statement due to statement timeout/
                )
                expect(await paused()).to.equal(true)
                await until('no connection is left', async () => (await loopbacks()).length === 0)
            } finally {
                await terminal.close()
            }
        })
    })

    describe('without help', () => {
        it('fails at once when no sidecar runs, says what is open, and leaves the pause in effect', async () => {
            await world.sidecar!.kill()
            const hint = /^Start the sidecar and drain again .*select pglobalxact\.resume\(\);$/
            await refused(world.admin('select pglobalxact.drain()'), {
                code: '55000',
                message: /^not drained: no sidecar is running/,
                detail: /^No set is open here; the pause stays in effect\.$/,
                hint
            })
            expect(await paused()).to.equal(true)
            await world.admin('select pglobalxact.resume()')
            await commit()
            await refused(world.admin('select pglobalxact.drain()'), {
                code: '55000',
                message: /^not drained: no sidecar is running/,
                detail: /^Open: 1 set: 1 unfinished on node b, 1 unfinished on node c\.\nThe pause stays in effect\.$/,
                hint
            })
            await world.startSidecar()
            expect(await value(await session('dba'), 'select pglobalxact.drain()')).to.equal('drained')
        })

        it('fails when the sidecar dies meanwhile, and in time when it stands still', async () => {
            await world.transfer(app)
            const { notices, answer } = await draining()
            await until('it waits', () => notices.length > 0)
            await world.sidecar!.kill()
            await refused(answer, { code: '55000', message: /^not drained: no sidecar is running/ })
            await app.query('rollback')
            const sidecar = await world.startSidecar()
            sidecar.pause()
            await refused(world.admin(`select pglobalxact.drain('1 second')`), {
                code: '55000',
                message: /^not drained after 00:00:01$/,
                detail: /^No set is open here, but the sidecar has not said yet/
            })
        })

        it('fails when someone ends the pause meanwhile, also if someone else begins another', async () => {
            await world.transfer(app)
            for (const then of ['select pglobalxact.resume()', `select pglobalxact.resume(); select pglobalxact.pause('other')`]) {
                const { notices, answer } = await draining()
                await until('it waits', () => notices.length > 0)
                const admin = await session('dba')
                await admin.query(then)
                await refused(answer, { code: '55000', message: /^not drained: the pause was ended meanwhile/ })
                await admin.query('select pglobalxact.resume()')
            }
            await app.query('rollback')
        })
    })

    describe('at a node', () => {
        it('that is down waits for the sets that it must still finish, with its error, and no longer when it is back', async () => {
            await world.transfer(app)
            await world.sidecar!.kill()
            await app.query('commit')
            await world.proxies.get('c')!.cut()
            await world.startSidecar()
            const { notices, answer } = await draining()
            await until('it says so', () => notices.some((notice) => /^waiting for 1 set: 1 unfinished on node c: .+$/.test(notice)))
            await refused(world.admin(`select pglobalxact.drain('0')`), {
                code: '55000',
                message: /^not drained/,
                detail: /^Open: 1 set: 1 unfinished on node c: .+\.\nThe pause/
            })
            await world.proxies.get('c')!.restore()
            expect(await answer).to.equal('drained')
            expect(await world.prepared()).to.deep.equal([])
        })

        it('that is down and has nothing to finish says that it could not be looked at', async () => {
            await world.proxies.get('c')!.cut()
            expect(await typed('select pglobalxact.drain();')).to.match(/^drained, but for nodes that do not answer: c \(.+\)\n$/)
        })

        it('sees to it that what a dead session left prepared there, and no look has seen, is rolled back', async () => {
            await world.sidecar!.stop()
            await world.startSidecar(['--scan-interval', '600000'])
            const set = await world.transfer(app)
            await app.query('set constraints all immediate') // prepares
            expect(await world.prepared()).to.have.length(2)
            await world.sql('select pg_terminate_backend($1)', [await pid(app)])
            expect(await value(await session('dba'), `select pglobalxact.drain('20 seconds')`)).to.equal('drained')
            expect(await world.prepared()).to.deep.equal([])
            expect(await world.sql('select pglobalxact.outcome($1) as o', [set])).to.deep.equal([{ o: 'rolled back' }])
            await world.sidecar!.stop()
        })

        it('waits for a local transaction that was itself prepared, which no lock shows in flight', async () => {
            const [slots] = await world.sql<{ n: number }>(`select current_setting('max_prepared_transactions')::int as n`)
            expect(slots!.n).to.be.greaterThan(0)
            // A transaction that has sent a NOTIFY cannot be prepared. Nobody sends one while this lock is held.
            await (await superuser()).query(`select pg_advisory_lock(x'70677833'::int, 0)`)
            await world.transfer(app)
            await app.query(`prepare transaction 'local one'`)
            await refused(world.admin(`select pglobalxact.drain('2 seconds')`), {
                code: '55000',
                message: /^not drained/,
                detail: /prepared \(its local transaction runs\) on node b/
            })
            await world.sql(`commit prepared 'local one'`)
            expect(await value(await session('dba'), `select pglobalxact.drain('20 seconds')`)).to.equal('drained')
            expect(await world.prepared()).to.deep.equal([])
        })

        it('leaves what only looks like its own, and says so', async () => {
            const [own] = await world.sql<{ id: string }>('select id from pglobalxact.coordinator')
            const gid = `pgx_${own!.id}_99_0123abcd_1`
            await world.node('b', `begin; select pg_current_xact_id(); prepare transaction '${gid}'`)
            expect(await typed('select pglobalxact.drain();')).to.match(
                /^drained\nNOTICE: {2}prepared transactions that only look like this coordinator's stay: 1 on node b\nHINT: .*branches/
            )
            await world.node('b', `rollback prepared '${gid}'`)
        })

        it('does not wait for a mixed set, and names it', async () => {
            await world.sidecar!.stop()
            const set = await commit()
            const gid = (await world.prepared())[0]!
            await world.node('b', `rollback prepared '${gid}'`)
            await world.startSidecar()
            await until('it is mixed', async () => (await world.sql(`select from pglobalxact.sets() where outcome = 'mixed'`)).length === 1)
            expect(await typed('select pglobalxact.drain();')).to.match(
                new RegExp(`^drained\nNOTICE: {2}mixed or unknown and not acknowledged, but over: set ${set}\nHINT: .*sets`)
            )
            await world.admin('select pglobalxact.acknowledge($1, $2)', [set, 'test'])
        })
    })

    it('under load is exact: whatever commits did so before it was drained, and nothing is left anywhere', async () => {
        for (let round = 0; round < 5; round++) {
            let drained = false
            const late: string[] = []
            const levels = ['read committed', 'repeatable read', 'serializable', 'read committed']
            const sessions = await Promise.all(levels.map(() => session()))
            const work = sessions.map(async (client, i) => {
                for (;;) {
                    await client.query(`begin isolation level ${levels[i]}; select 1 from pg_class limit 1`)
                    const answer = await client
                        .query(
                            `select pglobalxact.exec($1, 'insert into account select max(id) + 1, 0 from account on conflict do nothing')`,
                            [i % 2 === 0 ? 'b' : 'c']
                        )
                        .then(
                            () => 'begun',
                            ({ message }: Error) => message
                        )
                    if (answer === 'begun' && drained) late.push(levels[i]!)
                    await client.query(answer === 'begun' ? 'commit' : 'rollback').catch(() => client.query('rollback'))
                    if (/^pglobalxact is paused since/.test(answer)) return
                    // Those on one node get into each other's way there.
                    if (answer !== 'begun') expect(answer).to.match(/could not serialize/)
                }
            })
            await until('sets commit', async () => (await world.sql('select from pglobalxact.commit_record')).length > 20 * (round + 1))
            const { answer } = await draining(`drain('30 seconds')`)
            expect(await answer).to.equal('drained')
            drained = true
            expect(await world.prepared()).to.deep.equal([])
            await Promise.all(work)
            expect(late).to.deep.equal([])
            expect(await world.sql('select from pglobalxact.commit_record where complete_at is null')).to.deep.equal([])
            await world.admin('select pglobalxact.resume()')
        }
    })

    describe('and a session held', () => {
        /** Puts a wait for the gate into a function, in this test's database only. */
        async function hold(name: string, at: string, put: (line: string, gate: string) => string): Promise<void> {
            const [found] = await world.sql<{ def: string }>(
                `select pg_get_functiondef(p.oid) as def from pg_proc p where p.pronamespace = 'pglobalxact'::regnamespace and p.proname = $1`,
                [name]
            )
            expect(found!.def).to.contain(at)
            await world.sql(found!.def.replace(at, put(at, `perform pg_advisory_xact_lock_shared(${GATE});`)))
        }
        const MARK = 'perform pglobalxact._mark_in_flight(number);'
        const RECORD = 'set constraints pglobalxact.prepare_set deferred;'
        let gate: Client
        beforeEach(async () => {
            gate = await superuser()
            await gate.query(`select pg_advisory_lock(${GATE})`)
        })
        afterEach(() => world.install())

        const open = (): Promise<unknown> => gate.query(`select pg_advisory_unlock(${GATE})`)
        const held = () =>
            until(
                'it is held',
                async () =>
                    (await world.sql(`select from pg_locks where locktype = 'advisory' and objid = ${GATE} and not granted`)).length === 1
            )
        const works = () => app.query(`select pglobalxact.exec('b', 'update account set balance = balance + 1')`)

        for (const level of ['read committed', 'repeatable read']) {
            const begin = () => app.query(`begin isolation level ${level}; select 1 from pg_class limit 1`)

            it(`just before its in-flight mark, ${level}: drained, and the session is refused`, async () => {
                await hold('_open_branch', MARK, (line, wait) => wait + line)
                await begin()
                const set = refused(works(), PAUSED)
                await held()
                expect(await typed('select pglobalxact.drain();')).to.equal('drained\n')
                await open()
                await set
            })

            it(`between its mark and its look at the switch, ${level}: waited for, and refused`, async () => {
                await hold('_open_branch', MARK, (line, wait) => line + wait)
                await begin()
                const set = refused(works(), PAUSED)
                await held()
                const { notices, answer } = await draining()
                await until('it waits', () => /^waiting for 1 set: 1 in flight/.test(notices[0] ?? ''))
                await open()
                await set
                expect(await answer).to.equal('drained')
            })

            it(`just after its look at the switch, ${level}: waited for until it has committed everywhere`, async () => {
                await hold('_open_branch', RECORD, (line, wait) => wait + line)
                await begin()
                const set = works()
                await held()
                const { notices, answer } = await draining()
                await until('it waits', () => /^waiting for 1 set: 1 in flight/.test(notices[0] ?? ''))
                await open()
                await set
                await app.query('commit')
                expect(await answer).to.equal('drained')
                expect(await world.prepared()).to.deep.equal([])
                expect((await world.balances())['b']).to.equal(1001)
            })

            // It looks at the row when the switch was left on for nothing, before the pause.
            it(`between its look at the switch and its look at the row, ${level}: waited for, and refused`, async () => {
                await hold('_open_branch', 'perform pglobalxact._refuse_paused();', (line, wait) => wait + line)
                await world.sql(`select setval('pglobalxact.pause_switch', 1)`)
                await begin()
                const set = refused(works(), PAUSED)
                await held()
                const { notices, answer } = await draining()
                await until('it waits', () => /^waiting for 1 set: 1 in flight/.test(notices[0] ?? ''))
                await open()
                await set
                expect(await answer).to.equal('drained')
            })

            it(`just after its look at the row, ${level}: waited for until it has committed everywhere`, async () => {
                await hold('_refuse_paused', 'if pause is not null', (line, wait) => wait + line)
                await world.sql(`select setval('pglobalxact.pause_switch', 1)`)
                await begin()
                const set = works()
                await held()
                const { notices, answer } = await draining()
                await until('it waits', () => /^waiting for 1 set: 1 in flight/.test(notices[0] ?? ''))
                await open()
                await set
                await app.query('commit')
                expect(await answer).to.equal('drained')
                expect(await world.prepared()).to.deep.equal([])
            })
        }

        it('in its COMMIT, all its branches prepared: waited for until it has committed everywhere', async () => {
            await world.sql(`create or replace function public.wait_at_gate() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock_shared(${GATE}); return null; end $$;
                create constraint trigger late after insert on account deferrable initially deferred for each row execute function public.wait_at_gate()`)
            try {
                await app.query('begin')
                await works()
                await app.query('insert into account values (100, 5)')
                const commits = app.query('commit')
                await held()
                expect(await world.prepared()).to.have.length(1)
                const { notices, answer } = await draining()
                await until('it waits', () => /^waiting for 1 set: 1 in flight/.test(notices[0] ?? ''))
                await open()
                await commits
                expect(await answer).to.equal('drained')
                expect(await world.prepared()).to.deep.equal([])
            } finally {
                await world.sql('drop trigger late on account; drop function public.wait_at_gate(); delete from account where id <> 1')
            }
        })
    })
})
