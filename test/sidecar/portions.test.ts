import { expect } from 'chai'
import type { Client } from 'pg'
import { makeInDoubt, prepareTables } from '../bench/scale/indoubt'
import { startCluster, type Cluster } from '../support/cluster'
import { World } from '../support/world'
import { addRow } from './common'

const SETS = 660 // of which every other one is committed: 100 and 200 in the first portions, 30 in the third

interface Row {
    readonly snapshot: string
    readonly xid: string | null
    readonly nonce: string
}

describe('a look at many sets', () => {
    let clusters: Readonly<Record<'a' | 'b', Cluster>>
    let world: World
    let client: Client
    before(async () => {
        const settings = { max_prepared_transactions: SETS + 100 }
        clusters = { a: await startCluster({ name: 'portions_a', settings }), b: await startCluster({ name: 'portions_b', settings }) }
        world = await World.create({ name: 'portions', nodes: ['b'], clusters })
        client = await world.connect()
    })
    after(async () => {
        await world.destroy()
        for (const cluster of Object.values(clusters)) await cluster.destroy()
    })

    /** As the sidecar reads them; the sets of one portion. */
    async function portion(since: string | null, most: number | null, after?: string): Promise<readonly Row[]> {
        const [xid, nonce] = after?.split('_') ?? [null, null]
        const look = "select snapshot::text, xid::text, nonce from pglobalxact._look($1, '0', $2, $3, $4)"
        return world.sql<Row & Record<string, unknown>>(look, [since, most, xid, nonce])
    }
    /** Of a portion, which comes in any order. */
    const ids = (rows: readonly Row[]): string[] => inOrder(rows.flatMap(({ xid, nonce }) => (xid === null ? [] : [`${xid}_${nonce}`])))

    it('reads them in portions, the oldest first, and loses none of those that are committed meanwhile', async () => {
        await world.settled()
        await world.sidecar!.stop()
        const made: string[] = []
        for (const since of [null, (await portion(null, null))[0]!.snapshot]) {
            const add = async (count: number): Promise<void> => {
                for (let n = 0; n < count; n++) made.push(await addRow(world, client))
            }
            await add(10)
            // Its xid is older than those of the sets that are decided while it runs.
            const slow = await world.connect()
            await slow.query('begin')
            await slow.query("select pglobalxact.exec('b', 'insert into account values (-1 - (random() * 1e9)::int, 0)')")
            const { rows } = await slow.query<{ id: string }>('select pglobalxact.set_id() as id')
            await add(5)
            const first = await portion(since, 7)
            const seen = ids(first)
            expect(seen, 'the first portion').to.have.lengthOf(7)
            await add(2)
            await slow.query('commit')
            made.push(rows[0]!.id)
            for (let last = 7; last === 7;) {
                const next = ids(await portion(since, 7, seen.at(-1)))
                expect([...seen.slice(-1), ...next]).to.deep.equal(inOrder([...seen.slice(-1), ...next]))
                seen.push(...next)
                last = next.length
                await add(1)
            }
            seen.push(...ids(await portion(first[0]!.snapshot, null)))
            if (since !== null) expect([...new Set(seen)].sort()).to.deep.equal([...made].sort())
            else for (const one of made) expect(seen).to.include(one)
        }
        await world.startSidecar()
        await world.settled()
    })

    it('settles thousands after a crash, with and without what the state files say of them', async () => {
        await world.sidecar!.stop()
        await prepareTables(world)
        await makeInDoubt(world, SETS)
        const sidecar = await world.startSidecar(['--fault-point', 'after state line'])
        await sidecar.waitForLog(/stopped at fault point/)
        await sidecar.kill()
        await world.startSidecar()
        await world.settled()
        const [done] = await world.node<{ sets: number; odd: boolean }>(
            'b',
            'select count(*)::int as sets, bool_and(set % 2 = 1) as odd from moved'
        )
        expect(done).to.deep.equal({ sets: SETS / 2, odd: true })
        const [records] = await world.sql(
            "select count(*)::int as open from pglobalxact.commit_record where outcome is distinct from 'committed'"
        )
        expect(records).to.deep.equal({ open: 0 })
    })

    it('finds out again that a set is complete, when a crash of the coordinator has lost that', async () => {
        const id = await addRow(world, client)
        await world.settled()
        await world.sidecar!.stop()
        const lost =
            "update pglobalxact.commit_record set complete_at = null, outcome = null where xid || '_' || nonce = $1 returning 1 as lost"
        expect(await world.sql(lost, [id])).to.deep.equal([{ lost: 1 }])
        await world.startSidecar()
        await world.settled()
        expect((await client.query<{ outcome: string }>('select pglobalxact.outcome($1) as outcome', [id])).rows[0]!.outcome).to.equal(
            'committed'
        )
        expect(await world.sql("select from pglobalxact.event where kind in ('mixed', 'unknown', 'contradiction')")).to.deep.equal([])
    })
})

const inOrder = (sets: readonly string[]): string[] =>
    [...sets].sort((a, b) => {
        const [x, y] = [BigInt(a.split('_')[0]!), BigInt(b.split('_')[0]!)]
        return x < y ? -1 : x > y ? 1 : 0
    })
