/** pause() and resume(): no set begins in a pause, whatever snapshot its transaction has; what is open goes on. */
import { expect } from 'chai'
import type { Client } from 'pg'
import { startCluster, type Cluster } from '../support/cluster'
import { psql, requirePsql } from '../support/psql'
import { fillAccounts, refused, value } from '../support/refused'
import { until } from '../support/wait'
import { World } from '../support/world'

const PAUSED = {
    code: '55000',
    message: /^pglobalxact is paused since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*: ticket 4711 \(by dba\)$/,
    hint: /select pglobalxact\.resume\(\);$/
}
const UPDATE = 'update account set balance = balance + 1'

describe('a pause', () => {
    let world: World
    let cluster: Cluster
    let app: Client

    before(requirePsql)
    before(async () => {
        cluster = await startCluster({ name: 'pause' })
        world = await World.create({ name: 'pause', clusters: { a: cluster } })
    })
    after(async () => {
        await world?.destroy()
        await cluster?.destroy()
    })
    beforeEach(async () => {
        app = await world.connect()
        await fillAccounts(world)
    })
    afterEach(async () => {
        await app.end()
        if (world.sidecar?.running !== true) await world.startSidecar()
        await world.admin('select pglobalxact.resume()')
        await world.settled()
    })

    const pause = async (): Promise<void> => void (await world.admin(`select pglobalxact.pause('ticket 4711')`))
    const begin = (how = '') => app.query(`begin ${how}; select 1 from pg_class limit 1`)
    const exec = (client = app) => client.query(`select pglobalxact.exec('b', $1)`, [UPDATE])
    const switched = async () => Number((await world.sql<{ v: string }>('select last_value as v from pglobalxact.pause_switch'))[0]!.v)
    const typed = async (script: string) => {
        const { stdout, stderr } = await psql(world.coordinator, world.login('dba'), script, {
            args: ['-A', '-t', '-v', 'SHOW_CONTEXT=never']
        })
        return stdout + stderr
    }

    it('is begun once and ended once; who, when and why are remembered', async () => {
        expect(await typed(`select pglobalxact.pause('ticket 4711');`)).to.equal('t\n')
        expect(await typed(`select pglobalxact.pause('another reason');`)).to.match(
            /^f\nNOTICE: {2}already paused since \S+ \S+: ticket 4711 \(by dba\)\n$/
        )
        expect(await typed('select pglobalxact.resume();')).to.equal('t\n')
        expect(await typed('select pglobalxact.resume();')).to.equal('f\nNOTICE:  pglobalxact is not paused\n')
        expect(await switched()).to.equal(0)
        const events = await world.sql(
            `select kind, who, regexp_replace(detail, '[0-9:]{8}', 'T') as detail from pglobalxact.event where kind in ('paused', 'resumed') order by id desc limit 2`
        )
        expect(events).to.deep.equal([
            { kind: 'resumed', who: 'dba', detail: 'paused by dba for T: ticket 4711' },
            { kind: 'paused', who: 'dba', detail: 'ticket 4711' }
        ])
    })

    it('needs a reason', async () => {
        for (const reason of ['null', `''`, `'  '`]) {
            await refused(world.admin(`select pglobalxact.pause(${reason})`), {
                code: '22023',
                message: /^a reason is needed/,
                hint: /pglobalxact\.pause\('/
            })
        }
        expect(await switched()).to.equal(0)
    })

    it('stands at once, whatever becomes of the transaction that calls it, and so does its end', async () => {
        expect(await typed(`begin isolation level repeatable read; select pglobalxact.pause('ticket 4711'); rollback;`)).to.equal(
            'BEGIN\nt\nROLLBACK\n'
        )
        await refused(exec(), PAUSED)
        expect(await typed(`begin read only; select pglobalxact.resume(); rollback;`)).to.equal('BEGIN\nt\nROLLBACK\n')
        await exec()
    })

    it('takes any text for a reason', async () => {
        const reason = `it's "5 %s\\' o'clock"; drop table account --`
        await world.admin('select pglobalxact.pause($1)', [reason])
        const error = await exec().catch((thrown: Error) => thrown)
        expect((error as Error).message).to.contain(reason)
    })

    it('needs no sidecar', async () => {
        await world.sidecar!.stop()
        await pause()
        await refused(exec(), PAUSED)
        await world.admin('select pglobalxact.resume()')
        await exec()
    })

    for (const level of ['read committed', 'repeatable read', 'serializable']) {
        it(`keeps a ${level} transaction that began before it from beginning a set`, async () => {
            for (const call of [`exec('b', '${UPDATE}')`, `query('b', 'select 1') as t (n int)`, `enlist('b')`]) {
                await begin(`isolation level ${level}`)
                await pause()
                await refused(app.query(`select * from pglobalxact.${call}`), PAUSED)
                await app.query('rollback')
                await world.admin('select pglobalxact.resume()')
            }
        })

        it(`that is over no more keeps a ${level} transaction that began in it`, async () => {
            await pause()
            await begin(`isolation level ${level}`)
            await world.admin('select pglobalxact.resume()')
            await exec()
            await app.query('commit')
            expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
        })

        it(`lets a set of a ${level} transaction that was open before it go on, also to other nodes, and commit`, async () => {
            await begin(`isolation level ${level}`)
            await exec()
            await pause()
            await exec()
            await app.query(`select pglobalxact.exec('c', '${UPDATE}')`)
            expect(await value(app, 'select pglobalxact.set_id()')).to.match(/^\d+_[0-9a-f]{8}$/)
            await app.query('commit')
            expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
            expect(await world.balances()).to.deep.equal({ a: 1000, b: 1002, c: 1001 })
        })
    }

    it('keeps a set that a savepoint took back from beginning again', async () => {
        await begin()
        await app.query('savepoint s')
        await exec()
        await app.query('rollback to s')
        await pause()
        await refused(exec(), PAUSED)
        await app.query('rollback')
    })

    it('is seen by a statement that began before it', async () => {
        // One statement in READ COMMITTED: its snapshot is older than the pause, for which it waits inside.
        const locker = await world.coordinator.connect({ database: world.database })
        await locker.query('select pg_advisory_lock(42)')
        const answer = refused(
            app.query(`with w as materialized (select pg_advisory_xact_lock_shared(42)) select (select pglobalxact.exec('b', $1)) from w`, [
                UPDATE
            ]),
            PAUSED
        )
        await until(
            'it waits',
            async () => (await world.sql(`select from pg_locks where locktype = 'advisory' and not granted`)).length === 1
        )
        await pause()
        await locker.end()
        await answer
    })

    it('leaves await, outcome and transactions without a set alone', async () => {
        await app.query('begin')
        const set = await world.transfer(app)
        await app.query('commit')
        await pause()
        expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
        expect(await value(app, 'select pglobalxact.outcome($1)', [set])).to.equal('committed')
        await app.query('update account set balance = balance + 1')
    })

    it('is obeyed by the row alone: a switch that a crash left on stops no set, and the next end of a pause turns it off', async () => {
        await world.sql(`select setval('pglobalxact.pause_switch', 1)`)
        for (const level of ['read committed', 'serializable']) {
            await begin(`isolation level ${level}`)
            await exec()
            await app.query('commit')
            expect(await value(app, 'select pglobalxact.await()')).to.equal('committed')
        }
        await world.admin('select pglobalxact.resume()')
        expect(await switched()).to.equal(0)
    })

    it('survives a crash of the coordinator, and an install', async () => {
        await pause()
        await world.sidecar!.stop()
        await app.end()
        await cluster.kill()
        await cluster.start()
        app = await world.connect()
        await refused(exec(), PAUSED)
        await world.install()
        await refused(exec(), PAUSED)
        await app.query('begin isolation level repeatable read')
        await refused(exec(), PAUSED)
        await app.query('rollback')
    })

    it('ordered at the same time as its end, again and again, leaves row and switch in accord', async () => {
        const admins = await Promise.all([1, 2, 3, 4].map(() => world.connect('dba')))
        for (let round = 0; round < 10; round++) {
            await Promise.all(
                admins.map((admin, i) =>
                    admin.query(i % 2 === 0 ? `select pglobalxact.pause('ticket 4711')` : 'select pglobalxact.resume()')
                )
            )
            const [row] = await world.sql<{ paused: boolean }>('select paused_at is not null as paused from pglobalxact.coordinator')
            if (row!.paused) expect(await switched()).to.equal(1)
        }
        for (const admin of admins) await admin.end()
    })
})
