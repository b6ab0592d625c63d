import { expect } from 'chai'
import type { Client } from 'pg'
import { PsqlSession, requirePsql } from '../support/psql'
import { fillAccounts, rows } from '../support/refused'
import { until } from '../support/wait'
import { World } from '../support/world'

const UNTOUCHED = { a: 1000, b: 1000, c: 1000 }
const BY_USER = /ERROR: {2}canceling statement due to user request/
const BY_TIMEOUT = /ERROR: {2}canceling statement due to statement timeout/

describe('a user who interrupts', () => {
    let world: World
    let psql: PsqlSession
    let locker: Client
    let pid: string

    before(requirePsql)
    before(async () => {
        world = await World.create({ name: 'interrupt', proxied: true })
        psql = await PsqlSession.open(world.coordinator, world.login('app'), ['-A', '-t'])
        locker = await world.nodes.get('b')!.connect({ database: world.database })
        pid = (await psql.send('select pg_backend_pid();')).trim()
    })
    beforeEach(() => fillAccounts(world))
    afterEach(async () => {
        await locker.query('rollback')
        for (const proxy of world.proxies.values()) await proxy.restore()
        world.sidecar!.resume()
        await psql.send('rollback; reset all;')
        await world.settled()
    })
    after(async () => {
        await psql?.close()
        await locker?.end()
        await world?.destroy()
    })

    const pay = (node: string, amount = 10) => `select pglobalxact.exec('${node}', 'update account set balance = balance + ${amount}');`
    const proxy = (node: string) => world.proxies.get(node)!
    /** Sessions that this psql has on a node and that do something. */
    const busy = (node: string) =>
        world.node<{ wait: string | null }>(
            node,
            `select wait_event_type as wait from pg_stat_activity
    where datname = current_database() and application_name ~ '^pgx_[0-9a-f]+_${pid}(_|$)' and (state = 'active' or xact_start is not null)`
        )
    const waitsForLock = (node: string) =>
        until('the remote statement waits for a lock', async () => (await busy(node)).some(({ wait }) => wait === 'Lock'))

    /** Types this, interrupts it once `reached`, and checks that psql has its prompt back at once. */
    async function interrupted(typed: string, reached: () => Promise<unknown>): Promise<string> {
        const answer = psql.send(typed)
        await reached()
        const start = Date.now()
        psql.interrupt()
        const output = await answer
        expect(Date.now() - start, 'ms until the prompt is back').to.be.lessThan(2000)
        return output
    }

    /**
     * The session works, its remote statement ends, nothing stays prepared or changed, and the next set commits. The sidecar,
     * which would end abandoned work too, is stopped until the statement is gone: the session's own doing must be enough.
     */
    async function clean({ node = 'b', restore = false } = {}): Promise<void> {
        world.sidecar!.pause()
        expect(await psql.send('rollback; select 6 * 7;')).to.match(/\b42\n$/)
        if (restore) for (const one of world.proxies.values()) await one.restore()
        const start = Date.now()
        await until('its remote statement is gone', async () => (await busy(node)).length === 0, { timeoutMs: 10_000 })
        expect(Date.now() - start, 'ms until the remote statement is gone').to.be.lessThan(4000)
        await until(
            'no connection is left that the sidecar would not know',
            async () =>
                (
                    await world.node(
                        node,
                        `select from pg_stat_activity where datname = current_database() and usename = 'node_app' and application_name !~ '^pgx_'`
                    )
                ).length === 0
        )
        world.sidecar!.resume()
        await locker.query('rollback')
        await until('nothing is prepared', async () => (await world.prepared()).length === 0)
        expect(await world.balances()).to.deep.equal(UNTOUCHED)
        expect(await psql.send(`begin; ${pay('b', 1)} ${pay('c', 2)} commit; select pglobalxact.await();`)).to.match(
            /UPDATE 1\nUPDATE 1\ncommitted\n$/
        )
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1001, c: 1002 })
    }

    describe('while the node waits for a lock', () => {
        beforeEach(async () => {
            await locker.query('begin; update account set balance = balance')
        })

        it('exec, by Ctrl-C', async () => {
            expect(await interrupted(`begin; ${pay('c')}\n${pay('b')}`, () => waitsForLock('b'))).to.match(BY_USER)
            await clean()
        })

        it('exec, by Ctrl-C, outside a transaction block', async () => {
            expect(await interrupted(pay('b'), () => waitsForLock('b'))).to.match(BY_USER)
            await clean()
        })

        it('exec, by Ctrl-C, after earlier work on the same node', async () => {
            await world.node('b', 'create table if not exists other (n int); grant all on other to node_app')
            expect(
                await interrupted(`begin; select pglobalxact.exec('b', 'insert into other values (1)');\n${pay('b')}`, () =>
                    waitsForLock('b')
                )
            ).to.match(BY_USER)
            await clean()
            expect(await world.node('b', 'select * from other')).to.deep.equal([])
        })

        it('query, by Ctrl-C', async () => {
            expect(
                await interrupted(
                    `select * from pglobalxact.query('b', 'select balance from account for update') as t (balance bigint);`,
                    () => waitsForLock('b')
                )
            ).to.match(BY_USER)
            await clean()
        })

        it('exec and query, by statement_timeout', async () => {
            for (const statement of [
                pay('b'),
                `select * from pglobalxact.query('b', 'select balance from account for update') as t (balance bigint);`
            ]) {
                expect(await psql.send(`set statement_timeout = '300ms'; begin; ${statement}`)).to.match(BY_TIMEOUT)
                expect(await psql.send('rollback; reset statement_timeout;')).to.equal('')
            }
            await clean()
        })

        it("exec, by a lock_timeout on the node: the error is the node's, and the connection is kept", async () => {
            expect(
                await psql.send(
                    `begin; select pglobalxact.exec('b', $$set local lock_timeout = '100ms'; update account set balance = 0$$);`
                )
            ).to.match(/ERROR: {2}canceling statement due to lock timeout/)
            expect(
                await world.node(
                    'b',
                    `select from pg_stat_activity where datname = current_database() and application_name ~ '^pgx_[0-9a-f]+_${pid}(_|$)'`
                )
            ).to.have.length(1)
            await clean()
        })

        it('exec, by pg_cancel_backend of a DBA', async () => {
            const answer = psql.send(`begin; ${pay('b')}`)
            await waitsForLock('b')
            await world.sql('select pg_cancel_backend($1)', [pid])
            expect(await answer).to.match(BY_USER)
            await clean()
        })

        it('exec, by Ctrl-C, inside a function that swallows the cancel: COMMIT then fails', async () => {
            expect(
                await interrupted(
                    `begin; ${pay('c')}\ndo $$ begin perform pglobalxact.exec('c', 'update account set balance = 5'); perform pglobalxact.exec('b', 'update account set balance = 5');
        exception when query_canceled then raise notice 'swallowed'; end $$;`,
                    () => waitsForLock('b')
                )
            ).to.match(/NOTICE: {2}swallowed/)
            expect(await psql.send('commit;')).to.match(
                /ERROR: {2}set rolled back: node "c": the branch does not match the local transaction/
            )
            await clean()
        })
    })

    describe('while a node does not answer', () => {
        for (const when of ['before', 'after'] as const) {
            it(`COMMIT, by Ctrl-C, its PREPARE lost ${when === 'before' ? 'on the way there' : 'on the way back'}`, async () => {
                const cut = proxy('b').onClientData('prepare transaction', when, () => proxy('b').blackhole())
                expect(
                    await interrupted(`begin; update account set balance = balance - 20; ${pay('b')} ${pay('c')}\ncommit;`, () => cut)
                ).to.match(BY_USER)
                await clean({ restore: true })
            })
        }

        it('COMMIT, by statement_timeout', async () => {
            void proxy('b').onClientData('prepare transaction', 'before', () => proxy('b').blackhole())
            const output = await psql.send(
                `set statement_timeout = '500ms'; begin; update account set balance = balance - 20; ${pay('b')} ${pay('c')} commit;`
            )
            expect(output).to.match(BY_TIMEOUT)
            expect(await psql.send('reset statement_timeout;')).to.equal('')
            await clean({ restore: true })
        })

        it('exec on an open connection, by Ctrl-C', async () => {
            await psql.send(`${pay('b', 0)} select pglobalxact.await();`)
            const cut = proxy('b').onClientData('balance + 77', 'before', () => proxy('b').blackhole())
            expect(await interrupted(`begin; ${pay('c')}\n${pay('b', 77)}`, () => cut)).to.match(BY_USER)
            await clean({ restore: true })
        })

        it('the first exec, while it connects, by Ctrl-C', async function () {
            if (world.coordinator.versionNum < 160000) return this.skip() // dblink cannot be interrupted there: connect_timeout bounds it
            await psql.send('\\c')
            pid = (await psql.send('select pg_backend_pid();')).trim()
            proxy('b').blackhole()
            const connecting = () =>
                until(
                    'psql waits for the node',
                    async () =>
                        (
                            await world.sql(
                                `select from pg_stat_activity where pid = $1 and wait_event_type = 'Extension' and query like '%exec(''b''%'`,
                                [pid]
                            )
                        ).length === 1
                )
            expect(await interrupted(`begin; ${pay('c')}\n${pay('b')}`, connecting)).to.match(BY_USER)
            await clean({ restore: true })
        })

        it('the first exec, just after it has connected, by Ctrl-C', async () => {
            await psql.send('\\c')
            pid = (await psql.send('select pg_backend_pid();')).trim()
            const cut = proxy('b').onClientData('set application_name', 'before', () => proxy('b').blackhole())
            expect(await interrupted(`begin; ${pay('c')}\n${pay('b')}`, () => cut)).to.match(BY_USER)
            await clean({ restore: true })
        })
    })

    describe('while the sidecar does not answer', () => {
        it('await, by Ctrl-C and by statement_timeout, leaves the set to be finished', async () => {
            await psql.send(`begin; ${pay('b')} ${pay('c')}`)
            world.sidecar!.pause()
            await psql.send('commit;')
            const waiting = () =>
                until(
                    'psql waits',
                    async () =>
                        (await world.sql(`select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'`, [pid])).length === 1
                )
            expect(await interrupted('select pglobalxact.await();', waiting)).to.match(BY_USER)
            expect(await psql.send(`set statement_timeout = '200ms'; select pglobalxact.await();`)).to.match(BY_TIMEOUT)
            world.sidecar!.resume()
            expect(await psql.send('reset statement_timeout; select pglobalxact.await();')).to.equal('committed\n')
            expect(await world.balances()).to.deep.equal({ a: 1000, b: 1010, c: 1010 })
        })

        it("a DBA's request, by Ctrl-C, leaves no loopback connection behind", async () => {
            const dba = await PsqlSession.open(world.coordinator, world.login('dba'), ['-A', '-t'])
            try {
                world.sidecar!.pause()
                const loopbacks = () =>
                    world.sql(`select from pg_stat_activity where datname = current_database() and usename like 'pglobalxact_loopback_%'`)
                const answer = dba.send('select node, result from pglobalxact.recover();')
                await until('the request waits', async () => (await loopbacks()).length === 1)
                dba.interrupt()
                expect(await answer).to.match(BY_USER)
                await until('the loopback connection is gone', async () => (await loopbacks()).length === 0)
                world.sidecar!.resume()
                expect(await dba.send('select node, result from pglobalxact.recover();')).to.equal('b|ok\nc|ok\n')
            } finally {
                await dba.close()
            }
        })
    })

    it('can be interrupted again and again, and the session never mixes up an answer', async () => {
        const client = await world.connect()
        for (let round = 1; round <= 10; round++) {
            await locker.query('begin; update account set balance = balance')
            await client.query(`set statement_timeout = '30ms'`)
            await client.query(`select pglobalxact.exec('b', 'update account set balance = 0')`).then(
                () => expect.fail('it waited for no lock'),
                () => undefined
            )
            await client.query('reset statement_timeout')
            await locker.query('rollback')
            expect(await rows(client, `select n from pglobalxact.query('b', 'select ${round}') as t (n int)`)).to.deep.equal([{ n: round }])
        }
        expect(await world.balances()).to.deep.equal(UNTOUCHED)
    })
})
