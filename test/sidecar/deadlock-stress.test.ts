import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { Client } from 'pg'
import { until } from '../support/wait'
import type { World } from '../support/world'
import { deadlockWorld, type Counts } from './deadlocks/support'

/** PGLOBALXACT_TEST_DEADLOCK_SECONDS=120 PGLOBALXACT_TEST_DEADLOCK_SESSIONS=40 makes thousands of deadlocks, and says how many. */
const SECONDS = Number(process.env['PGLOBALXACT_TEST_DEADLOCK_SECONDS'] ?? 6)
const SESSIONS = Number(process.env['PGLOBALXACT_TEST_DEADLOCK_SESSIONS'] ?? 12)
const GROUP = 4 // sessions, of which one crosses nobody, with rows of their own
const STRAYS = 0.1 // of the sets that take another group's rows: rings of many sets
const QUEUED = 200 // a row that all take in one order
const LONGEST = 45_000 // ms, on a machine that is busy with other things
const WAITS =
    "select pid || ' ' || virtualtransaction || ' ' || waitstart as wait from pg_locks where not granted and waitstart is not null"

interface Tally {
    committed: number
    readonly waits: Set<string>
    readonly errors: { readonly session: number; readonly code: string | undefined; readonly message: string }[]
}

describe('the search for deadlocks, under load', function () {
    this.timeout(SECONDS * 1000 + 60_000)
    let world: World
    const clients: Client[] = []
    before(async () => {
        world = await deadlockWorld({ name: 'dl_stress' }, '50ms')
        for (const node of world.nodes.keys())
            await world.node(node, `insert into account select id, 1000 from generate_series(10, ${QUEUED}) id`)
        await world.admin(`select pglobalxact.detect_deadlocks('resolve')`)
    })
    after(() => world?.destroy())
    afterEach(async () => {
        await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)))
        await world.settled()
    })

    const counts = async (): Promise<Counts> =>
        (
            await world.sql<Counts & Record<string, unknown>>(
                'select mode, looks::int, queries::int, found::int, cancelled::int from pglobalxact.deadlock_watch'
            )
        )[0]!

    /** Sessions that run such sets, each taking one row after the other ("b1": row 1 of node b), until the time is over and there was enough. */
    async function run(places: (session: number) => readonly string[], enough: (tally: Tally) => boolean): Promise<Tally> {
        const tally: Tally = { committed: 0, waits: new Set(), errors: [] }
        const start = Date.now()
        const over = (): boolean => Date.now() - start > SECONDS * 1000 && (enough(tally) || Date.now() - start > LONGEST)
        const work = async (client: Client, session: number): Promise<void> => {
            while (!over()) {
                try {
                    await client.query('begin')
                    for (const place of places(session)) {
                        const taken = `update account set balance = balance + 1 where id = ${place.slice(1)}`
                        if (place.startsWith('a')) await client.query(taken)
                        else await client.query('select pglobalxact.exec($1, $2)', [place.slice(0, 1), taken])
                    }
                    await client.query('commit')
                    tally.committed += 1
                } catch (error) {
                    const { code, message } = error as Error & { code?: string }
                    tally.errors.push({ session, code, message })
                    await client.query('rollback')
                }
            }
        }
        const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => world.connect()))
        clients.push(...sessions)
        const watches = [...world.nodes].map(async ([node, cluster]) => {
            const client = await cluster.connect({ database: world.database })
            clients.push(client)
            while (!over()) {
                const { rows } = await client.query<{ wait: string }>(WAITS)
                for (const { wait } of rows) tally.waits.add(`${node} ${wait}`)
                await sleep(25)
            }
        })
        // Nobody is left standing: else these would never end.
        await Promise.all([...sessions.map(work), ...watches])
        return tally
    }
    const balances = (): Promise<readonly number[]> =>
        Promise.all(['b', 'c'].map(async (node) => Number((await world.node(node, 'select sum(balance) as n from account'))[0]!['n'])))
    const say = (what: string, { committed, waits }: Tally, more: string): void => {
        if (process.env['PGLOBALXACT_TEST_DEADLOCK_SECONDS'] !== undefined)
            console.log(
                `      ${what}: ${SESSIONS} sessions, ${SECONDS} s: ${committed} sets committed, ${waits.size} waits seen on nodes; ${more}`
            )
    }
    const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)]!

    it('has no victim where sets only queue for one another, on all servers', async () => {
        const before = await counts()
        const tally = await run(
            () => ['b1', `b${pick([2, 3])}`, 'c1', `c${pick([2, 3])}`, 'a1'],
            ({ committed, waits }) => committed >= 30 && waits.size >= 200
        )
        const { committed, waits, errors } = tally
        expect(errors).to.deep.equal([])
        expect(committed).to.be.at.least(30)
        expect(waits.size).to.be.at.least(200)
        await until('it has looked at all of it', async () => (await counts()).looks > before.looks + 2)
        const after = await counts()
        expect([after.found, after.cancelled]).to.deep.equal([before.found, before.cancelled])
        say('queues', tally, 'no victim')
    })

    it('leaves no deadlock standing where sets cross each other all the time, and takes nobody for a victim without one', async () => {
        const before = await counts()
        const sums = await balances()
        const crosses = (session: number): boolean => session % GROUP > 0
        const groups = Math.ceil(SESSIONS / GROUP)
        const row = (session: number): number => {
            const group = Math.random() < STRAYS ? Math.floor(Math.random() * groups) : Math.floor(session / GROUP)
            return 1 + 2 * group + pick([0, 1])
        }
        const tally = await run(
            (session) =>
                crosses(session)
                    ? (Math.random() < 0.5 ? ['b', 'c'] : ['c', 'b']).map((place) => `${place}${row(session)}`)
                    : [`b${QUEUED}`, `c${QUEUED}`],
            (tally) => tally.committed >= 5 && tally.errors.length >= 5
        )
        const { committed, errors } = tally
        for (const { code, message } of errors) expect({ code, message }).to.include({ code: '40P01' })
        expect(errors.filter(({ session }) => !crosses(session))).to.deep.equal([])
        await until('all are counted', async () => (await counts()).cancelled - before.cancelled >= errors.length)
        const after = await counts()
        expect(after.cancelled - before.cancelled).to.equal(errors.length)
        expect(errors.length).to.be.at.least(5)
        await world.settled()
        expect(await world.admin('select * from pglobalxact.deadlocks()')).to.deep.equal([])
        expect(await balances()).to.deep.equal(sums.map((sum) => sum + committed))
        say(
            'crossing',
            tally,
            `${after.found - before.found} deadlocks found, ${errors.length} victims, none of a set that crossed nobody; none left`
        )
    })
})
