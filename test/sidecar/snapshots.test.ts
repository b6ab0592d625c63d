import { expect } from 'chai'
import { Stop, armFaultPoints } from '../crash/support/sqlfaults'
import { startCluster, type Cluster } from '../support/cluster'
import { refused } from '../support/refused'
import { until } from '../support/wait'
import { AT_DEFAULTS, World } from '../support/world'
import { commitRefusedAt } from './common'
import { SnapshotLoad } from './snapshots/load'
import { closeGate, exported, gateIsAsked, nothingHeld, openGate, readAt, sumAt, waitingAtGate, type Exported } from './snapshots/support'

const ROUNDS = Number(process.env['PGLOBALXACT_TEST_SNAPSHOTS'] ?? 15)

describe('the snapshots of many servers', () => {
    let world: World
    let lone: Cluster // c: stopped and left behind
    before(async () => {
        lone = await startCluster({ name: 'c' })
        world = await World.create({ name: 'snapshots', clusters: { c: lone } })
        await armFaultPoints(world)
        // A gate gives way before the server would look for a deadlock; on a busy machine a commit may take longer than that.
        await world.sql(`alter database "${world.database}" set deadlock_timeout = '20s'`)
    })
    after(async () => {
        await world?.destroy()
        await lone?.destroy()
    })
    const release = (): Promise<unknown> => world.admin('select pglobalxact.release_snapshots()')
    afterEach(release)

    const take = (order = "timeout => '10 seconds'"): Promise<Exported[]> => exported(world, order)

    it('name every server once, tell for how long commits were held, and are there until they are released', async () => {
        const found = await take()
        expect(found.map(({ node }) => node)).to.deep.equal(['(coordinator)', 'b', 'c'])
        expect(new Set(found.map(({ export: id }) => id)).size).to.equal(1)
        expect(
            await world.sql('select (regexp_match(gate, $1))[1] as n from pglobalxact.status()', ['held: snapshots ([0-9]+)$'])
        ).to.deep.equal([{ n: found[0]!.export }])
        expect(await sumAt(world, found)).to.equal(3000n)
        expect(await world.admin('select pglobalxact.release_snapshots($1) as n', [found[0]!.export])).to.deep.equal([{ n: 1 }])
        expect(await world.admin('select pglobalxact.release_snapshots() as n')).to.deep.equal([{ n: 0 }])
        for (const one of found) await refused(readAt(world, one, 'select 1 as n'), { code: '22023|42704', message: /snapshot/ })
        expect(
            await world.sql('select gate ~ $1 as told from pglobalxact.status()', ['^last closed .* ms \\(export_snapshots [0-9]+\\)$'])
        ).to.deep.equal([{ told: true }])
    })

    it(`have each set in all of them or in none, under full load, ${ROUNDS} times`, async function () {
        this.timeout(60_000 + ROUNDS * 500)
        const load = await SnapshotLoad.start(world)
        const held: number[] = []
        let moving = 0
        try {
            for (let round = 0; round < ROUNDS; round++) {
                const before = load.committed
                const found = await take()
                held.push(found[0]!.held_ms)
                expect(await sumAt(world, found, 'select sum(n)::text as n from pot'), `round ${round}`).to.equal(load.total)
                await release()
                if (load.committed > before) moving += 1
            }
        } finally {
            await load.end()
        }
        expect(load.failures).to.deep.equal([])
        expect(moving, 'rounds in which sets committed').to.be.greaterThan(0)
        await world.settled()
        if (process.env['PGLOBALXACT_TEST_FIGURES'] !== undefined) console.log(figures(held, load.committed))
    })

    it('hold up commits of sets behind a closed gate, and nothing else', async () => {
        const [open, set, plain] = [await world.connect(), await world.connect(), await world.connect()]
        const keeper = await closeGate(world)
        await world.transfer(set)
        const committed = set.query('commit')
        await waitingAtGate(world, 1)
        // Transactions without a node, and sets in the making, go on.
        await plain.query('create table if not exists aside (n int); insert into aside values (1)')
        await open.query('begin')
        await open.query("select pglobalxact.exec('b', 'insert into account values (76, 0)')")
        await open.query('rollback')
        expect((await world.balances())['a']).to.equal(1000)
        await openGate(keeper)
        await committed
        expect(await set.query('select pglobalxact.await() as o').then(({ rows }) => rows)).to.deep.equal([{ o: 'committed' }])
    })

    it('wait for a session that is in its commit already, and name it if it stays there', async () => {
        const client = await world.connect()
        await world.transfer(client)
        const stop = await Stop.close(world, 'before local commit')
        const committed = client.query('commit')
        await stop.reached()
        const pid = (
            await world.sql<{ pid: number }>("select pid from pg_locks where classid = x'70677832'::int and granted and mode = 'ShareLock'")
        )[0]!.pid
        await refused(take("timeout => '200 ms'"), {
            code: '55P03',
            message: /^commits of sets could not be held within \d+ ms/,
            detail: new RegExp(`pid ${pid} \\(role "app"`)
        })
        // Nobody is held any more.
        const other = await world.connect()
        await other.query("begin; select pglobalxact.exec('b', 'insert into account values (77, 0)')")
        const through = other.query('commit')
        await stop.open()
        await Promise.all([through, committed])
        expect(await sumAt(world, await take())).to.equal(3000n)
    })

    it('are refused while a committed set cannot be finished on a node, which may be left out', async () => {
        try {
            const set = await commitRefusedAt(world, 'c')
            const before = await world.sql('select closed_at from pglobalxact.gate')
            await refused(take(), {
                code: '55000',
                message: new RegExp(`^node "c" cannot finish branches of committed sets: pgx_[0-9a-f]{8}_${set}_\\d+$`),
                detail: /42501/,
                hint: /leave the node out/
            })
            // Nobody was held for it.
            expect(await world.sql('select closed_at from pglobalxact.gate')).to.deep.equal(before)
            expect((await take("nodes => '{b}', timeout => '10 seconds'")).map(({ node }) => node)).to.deep.equal(['(coordinator)', 'b'])
        } finally {
            await world.node('c', 'grant node_app to node_sidecar')
        }
        await world.settled()
        await refused(take("nodes => '{b,nowhere}'"), { code: '42704', message: /^node "nowhere" does not exist/ })
    })

    /** While c is away, which had prepared: the set is committed all the same. c is back behind it. */
    async function withNodeAway(work: (set: string) => Promise<void>): Promise<void> {
        const client = await world.connect()
        const stop = await Stop.close(world, 'before local commit')
        const set = await world.transfer(client)
        const committed = client.query('commit')
        await stop.reached()
        await lone.stop('immediate')
        try {
            await stop.open()
            await committed
            await work(set)
        } finally {
            await lone.start()
        }
    }

    it('are refused while a node is away, which is named with what is unfinished there, and may be left out', async () => {
        await withNodeAway(async (set) => {
            await until(
                'it is decided',
                async () => (await world.sql('select from pglobalxact.branches($1) where node = $2', [set, 'c'])).length > 0
            )
            await refused(take(), {
                code: '55000',
                message: /^node "c" cannot be reached: /,
                detail: new RegExp(`unfinished there: pgx_[0-9a-f]{8}_${set}_`)
            })
            const found = await take("nodes => '{b}', timeout => '10 seconds'")
            expect(found.map(({ node }) => node)).to.deep.equal(['(coordinator)', 'b'])
        })
        await world.settled()
    })

    it('are taken as soon as a node answers again, however long the sidecar would have waited before its next look', async () => {
        await world.sidecar!.stop()
        await world.startSidecar(AT_DEFAULTS)
        try {
            await withNodeAway(async () => {
                await until('the sidecar waits for long', async () => {
                    const sql = "select from pglobalxact.branch_status where next_retry_at > clock_timestamp() + interval '3 seconds'"
                    return (await world.sql(sql)).length > 0
                })
            })
            expect(await sumAt(world, await take())).to.equal(3000n)
        } finally {
            await world.settled()
            await world.sidecar!.stop()
            await world.startSidecar()
        }
    })

    it('let commits go on by themselves when the sidecar freezes with the gate closed, and then fail', async () => {
        const slow = await world.connect()
        await world.transfer(slow)
        const stop = await Stop.close(world, 'before local commit')
        const committed = slow.query('commit')
        await stop.reached()
        const answer = take("timeout => '5 seconds'").then(
            () => undefined,
            (error: { code: string }) => error
        )
        await gateIsAsked(world)
        world.sidecar!.pause()
        try {
            await stop.open()
            await committed
            const other = await world.connect()
            await other.query('begin')
            await other.query("select pglobalxact.exec('b', 'insert into account values (78, 0)')")
            // Held by a gate that nobody opens any more, or free already: it commits in any case.
            await other.query('commit')
        } finally {
            world.sidecar!.resume()
        }
        const error = await answer
        expect(error?.code).to.be.oneOf(['57014', '55P03', '55000'])
        await world.settled()
        expect(await sumAt(world, await take())).to.equal(3000n)
    })

    it('end with the sidecar, and at their expiry', async () => {
        const [first] = await take("keep => '1 second', timeout => '10 seconds'")
        await nothingHeld(world)
        await refused(readAt(world, first!, 'select 1 as n'), { code: '22023|42704', message: /snapshot/ })
        const [second] = await take()
        await world.sidecar!.kill()
        await nothingHeld(world)
        await refused(readAt(world, second!, 'select 1 as n'), { code: '22023|42704', message: /snapshot/ })
        await world.startSidecar()
        await world.nodesReached()
    })
})

function figures(held: readonly number[], committed: number): string {
    const sorted = [...held].sort((a, b) => a - b)
    const at = (share: number): string => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!.toFixed(1)
    return `      commits held: median ${at(0.5)} ms, 95 % ${at(0.95)} ms, most ${at(1)} ms, in ${held.length} exports beside ${committed} sets`
}
