import { expect } from 'chai'
import { makeInDoubt, prepareTables } from '../bench/scale/indoubt'
import { until } from '../support/wait'
import { World } from '../support/world'

const SETS = 150 // more than one portion of settling.ts, and not more than the shared clusters have slots for

describe('more sets in doubt than are settled in one go', () => {
    let world: World

    before(async () => {
        world = await World.create({ name: 'manyindoubt' })
        await world.sidecar!.stop()
        await prepareTables(world)
        await makeInDoubt(world, SETS)
    })
    after(() => world.destroy())

    it('are each settled by their own commit record, and told of in history', async () => {
        // A single look at each node: what waits for the next one would wait for a second per portion.
        await world.startSidecar(['--scan-interval', '60000'])
        await world.settled()
        for (const name of world.nodes.keys()) {
            const rows = await world.node<{ set: number }>(name, 'select set from moved order by set')
            expect(rows.map(({ set }) => set)).to.deep.equal(Array.from({ length: SETS / 2 }, (_, index) => 2 * index + 1))
        }
        const told = "select count(distinct (set_id, node))::int as branches from pglobalxact.event where kind = 'rolled back by recovery'"
        await until('history has every branch', async () => (await world.sql<{ branches: number }>(told))[0]!.branches === SETS)
        const [records] = await world.sql<{ complete: number }>(
            "select count(*)::int as complete from pglobalxact.commit_record where outcome = 'committed'"
        )
        expect(records!.complete).to.equal(SETS / 2)
    })

    it('have one line of the log for many', () => {
        const lines = world.sidecar!.logs.filter((line) => /branch(es)? rolled back/.test(line))
        const counted = lines.map((line) => Number(/ branches=(\d+)/.exec(line)?.[1] ?? 1))
        expect(counted.reduce((sum, count) => sum + count, 0)).to.equal(SETS)
        expect(lines.length).to.be.lessThan(SETS / 2)
    })
})
