import { existsSync, readFileSync } from 'node:fs'
import { expect } from 'chai'
import type { Client } from 'pg'
import { startCluster, type Cluster } from '../support/cluster'
import { until } from '../support/wait'
import { PASSWORDS, World } from '../support/world'
import { addRow } from './common'

const hex = (number: number): string => number.toString(16).padStart(8, '0')

describe('ten thousand prepared transactions of others on a node', () => {
    let crowded: Cluster
    let world: World
    let app: Client
    let own: string
    /** gid and xid of every one that is not to be touched. */
    let crowd: readonly Record<string, unknown>[]

    before(async function () {
        this.timeout(180_000)
        const settings = { max_prepared_transactions: 10_500, max_locks_per_transaction: 10, fsync: false }
        crowded = await startCluster({ name: 'crowded', settings })
        world = await World.create({ name: 'crowd', clusters: { b: crowded } })
        app = await world.connect()
        own = (await world.sql<{ id: string }>('select id from pglobalxact.coordinator'))[0]!.id
        const finished = await addRow(world, app)
        await app.query("select pglobalxact.await(timeout => '20 seconds')")
        await prepare([...others(), ...ofOtherCoordinators(), ...ours(finished), ...nearlyOurs(finished)])
        crowd = await standing()
        expect(crowd).to.have.lengthOf(10_000)
    })
    after(async function () {
        this.timeout(180_000)
        await rollBack()
        await world?.destroy()
        await crowded?.destroy()
    })

    /** As transaction managers, and people, write them. */
    function* others(): Generator<string> {
        for (let n = 0; n < 1000; n++) {
            yield `131077_${Buffer.from(`global ${n}`).toString('base64')}_${Buffer.from('branch').toString('base64')}`
            yield `citus_0_${n}_4_${n}`
            yield `${hex(n)}-0000-4000-8000-000000000000`
            yield `${'é"; drop table account; --\n\\'.repeat(3)}${n}`
        }
    }
    function* ofOtherCoordinators(): Generator<string> {
        for (let n = 0; n < 4000; n++) yield `pgx_${hex(Number.parseInt(own, 16) ^ (n + 1))}_${1000 + n}_${hex(n)}_1`
    }
    /** Under this coordinator's id, but of no transaction it ever made here: a node's copy or a coordinator's copy did, or a person. */
    function* ours(finished: string): Generator<string> {
        yield `pgx_${own}_${finished}_1` // as a set that is complete, but of another xid
        for (let n = 2; n <= 600; n++) yield `pgx_${own}_${finished}_${n}`
        for (let n = 0; n < 600; n++) yield `pgx_${own}_${5000 + n}_${hex(n)}_1`
    }
    function* nearlyOurs(finished: string): Generator<string> {
        for (let n = 0; n < 100; n++) {
            yield `pgx_${own}_${finished}_01${n}`
            yield `pgx_${own}_${finished}_${n}_1`
            yield `pgx_${own}_0${finished}_${n + 1}`
            yield `pgx_${own}_${finished.toUpperCase()}x_${n}`
            yield `pgx_${own}_${finished}_${n + 1} `
            yield `pgxx${own}x${finished}_${n}`
            yield `PGX_${own}_${finished}_${n}`
            yield `pgx_${own}_${n}`
        }
    }

    /** By the role whose branches the sidecar may finish: only its judgement keeps it from these. */
    async function prepare(gids: readonly string[]): Promise<void> {
        const client = await crowded.connect({ database: world.database, user: 'node_app', password: PASSWORDS.node_app })
        for (let from = 0; from < gids.length; from += 500) {
            const batch = gids.slice(from, from + 500)
            await client.query(batch.map((gid) => `begin; prepare transaction ${client.escapeLiteral(gid)}`).join(';'))
        }
        await client.end()
    }
    const standing = () =>
        world.node(
            'b',
            'select gid, transaction::text, prepared::text from pg_prepared_xacts where database = current_database() order by gid'
        )

    async function rollBack(): Promise<void> {
        if (world === undefined) return
        const client = await crowded.connect({ database: world.database })
        for (const { gid } of crowd ?? (await standing())) await client.query(`rollback prepared ${client.escapeLiteral(String(gid))}`)
        await client.end()
    }

    /** MB, or undefined where the system does not tell. */
    function memory(): number | undefined {
        const path = `/proc/${world.sidecar!.pid}/status`
        if (!existsSync(path)) return undefined
        return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(path, 'utf8'))![1]) / 1024)
    }
    async function looks(count: number): Promise<number[]> {
        const seen = new Map<string, number>()
        await until(
            `${count} more looks at the node are told`,
            async () => {
                await world.admin('select * from pglobalxact.recover()')
                const [row] = await world.sql<{ at: string; ms: number }>(
                    'select checked_at::text as at, latency_ms::float as ms from pglobalxact.node_status where node = 1'
                )
                seen.set(row!.at, row!.ms)
                return seen.size >= count
            },
            { timeoutMs: 60_000, everyMs: 500 }
        )
        return [...seen.values()]
    }

    it('are none of them touched, while sets go on committing', async () => {
        const passed = await world.admin<{ result: string }>('select result from pglobalxact.recover()')
        expect(passed.map((row) => row.result)).to.deep.equal(['ok', 'ok'])
        for (let n = 0; n < 100; n++) {
            await addRow(world, app)
            await app.query("select pglobalxact.await(timeout => '20 seconds')")
        }
        const before = memory()
        const latencies = await looks(4)
        const [later, growth] = [memory(), (memory() ?? 0) - (before ?? 0)]
        console.log(`    a look at the node takes ${latencies.map((ms) => ms.toFixed(0)).join(', ')} ms; the sidecar has ${later} MB`)
        expect(growth, 'MB more after more looks').to.be.below(100)
        expect(later ?? 0).to.be.below(400)
        expect(await standing()).to.deep.equal(crowd)
    }).timeout(180_000)

    it('do not show in sets() and branches(), but for those that bear this coordinator’s name: those are left alone, with the reason', async () => {
        const shown = await world.sql<{ gid: string; state: string; reason: string | null }>(
            'select gid, state, message as reason from pglobalxact.open_branch'
        )
        const reasons = new Map<string, number>()
        for (const { gid, state, reason } of shown) {
            expect(gid).to.match(new RegExp(`^pgx_${own}_[1-9]\\d*_[0-9a-f]{8}_[1-9]\\d*$`))
            expect(state).to.equal('left alone')
            const kind = reason!.replace(/\d+/, 'n')
            reasons.set(kind, (reasons.get(kind) ?? 0) + 1)
        }
        expect(reasons).to.deep.equal(
            new Map([
                ['the gid names node n: this is a copy of that node, or the branch was prepared on the wrong node', 599],
                ['no transaction of this database made it: a copy of the coordinator did, or someone by hand', 601]
            ])
        )
        expect(await world.admin('select from pglobalxact.branches()')).to.have.lengthOf(1200)
        expect(await world.admin('select from pglobalxact.sets()')).to.have.lengthOf(601)
    })

    it('the sidecar starts again among them, and finishes what is its own', async () => {
        await world.sidecar!.stop()
        await addRow(world, app)
        expect(await standing()).to.have.lengthOf(10_001)
        await world.startSidecar()
        await app.query("select pglobalxact.await(timeout => '20 seconds')")
        await until('only the crowd is left', async () => (await standing()).length === 10_000)
        expect(await standing()).to.deep.equal(crowd)
    }).timeout(120_000)
})
