/** The coordinator and a node fail over in the same minute; and the sidecar alone moves to another host. */
import { expect } from 'chai'
import type { Cluster } from '../support/cluster'
import { until } from '../support/wait'
import type { World } from '../support/world'
import { figure } from './support/figures'
import { createGround, destroyGround } from './support/ground'
import { Load, rowsEverywhere } from './support/load'
import { acknowledgeAll, alarms, inTrouble } from './support/lost'
import { Pair, sidecarBeside, type Host } from './support/pair'
import { addStandby, cutOff, inStep, promote, synchronous } from './support/standby'

describe('a failover of the coordinator and of a node in the same minute', () => {
    let pair: Pair
    let world: World
    let node: Cluster
    let nodeStandby: Cluster
    let host: Host
    beforeEach(async () => {
        pair = await Pair.create({ name: 'two', proxied: true })
        world = pair.world
        node = world.nodes.get('b')!
        nodeStandby = await addStandby(node, 'b2')
        host = await pair.secondHost('--lost-sets', 'rollback')
        await until(
            'the node is back',
            async () => (await world.admin("select from pglobalxact.nodes() where node = 'b' and reachable")).length > 0
        )
    })
    afterEach(async () => {
        world.nodes.set('b', nodeStandby)
        await pair.destroy(node)
        await nodeStandby.destroy()
    })

    async function bothFail(): Promise<void> {
        await Promise.all([pair.lose(), node.kill()])
        await Promise.all([promote(nodeStandby), pair.takeOver(host, 'adopt')])
        world.nodes.set('b', nodeStandby)
        world.proxies.get('b')!.redirect(nodeStandby.port)
    }

    it('with synchronous replication of both loses nothing', async () => {
        await Promise.all([synchronous(pair.old), synchronous(node)])
        const load = new Load(world)
        await load.more(30)
        await bothFail()
        await load.end()
        await inTrouble(world, 'b')
        figure('failover', 'coordinator and node, synchronous', pair.diedAt)
        const rows = await rowsEverywhere(world)
        for (const name of ['b', 'c']) expect(rows[name], `rows on ${name}`).to.deep.equal(rows['a'])
        expect(rows['a']).to.include.members(load.committed.map(({ id }) => id))
        // What the node's last look left in the way of words goes with its next.
        await until('only fates that the node cannot prove are left', async () => {
            const trouble = await inTrouble(world, 'b')
            const others = trouble.filter(({ outcome, last_error }) => outcome !== 'unknown' || last_error !== 'b: unknown')
            if (others.length > 0) throw new Error(JSON.stringify(others))
            return true
        })
        await acknowledgeAll(world)
    })

    it('with asynchronous replication of both: what the coordinator lost is rolled back, what the node lost is named', async () => {
        const load = new Load(world)
        await load.more(10)
        await inStep(node)
        await cutOff(nodeStandby)
        await load.more(10)
        await load.end()
        await world.settled()
        await inStep(pair.old)
        await world.sidecar!.kill()
        const later = new Load(world)
        await later.more(3)
        later.pause()
        await pair.cutStandby()
        later.resume()
        await later.more(10)
        await bothFail()
        await later.end()
        const trouble = await inTrouble(world, 'b')
        figure('failover', 'coordinator and node, asynchronous, until all is rolled back or reported', pair.diedAt)
        const rows = await rowsEverywhere(world)
        expect(rows['c'], 'rows on c').to.deep.equal(rows['a'])
        const gone = rows['a']!.filter((id) => !rows['b']!.includes(id))
        const setOf = new Map([...load.deeds, ...later.deeds].map(({ id, set }) => [id, set]))
        expect(gone.length, 'sets gone on b').to.be.at.least(10)
        expect(trouble.map(({ set_id }) => set_id).sort(), 'sets by name').to.deep.equal(gone.map((id) => setOf.get(id)!).sort())
        await acknowledgeAll(world)
    })
})

describe('the sidecar moves to another host, the server stays', () => {
    let world: World
    before(async () => {
        world = await createGround({ name: 'moves' })
    })
    after(() => destroyGround(world))

    it('under load: the new one acts once it is adopted; the old one, back again, waits, and takes over in its turn', async () => {
        const oldStateDir = world.stateDir
        const load = new Load(world)
        await load.more(10)
        const died = performance.now()
        await world.sidecar!.kill()
        load.pause()
        const { sidecar: moved } = await sidecarBeside(world, world.coordinator)
        try {
            await moved.waitForLog(/is not allowed to act/)
            const before = (await world.prepared()).length
            load.resume()
            await load.more(10)
            load.pause()
            expect((await world.prepared()).length, 'it looks, and touches nothing').to.be.greaterThan(before)
            await world.admin("select pglobalxact.adopt('sidecar moved to another host')")
            await moved.waitForLog(/ acting /)
            await until('what waited is finished', async () => (await world.prepared()).length === 0)
            figure('failover', 'the sidecar alone moves', died)
            load.resume()

            const { sidecar: back } = await sidecarBeside(world, world.coordinator, [], oldStateDir)
            world.sidecar = back
            await back.waitForLog(/another sidecar acts for this coordinator/)
            await load.more(10)
            load.pause()
            await moved.kill()
            await back.waitForLog(/ acting /)
            load.resume()
            await load.more(10)
            await load.end()
            await world.settled()
            const rows = await rowsEverywhere(world)
            for (const name of ['b', 'c']) expect(rows[name], `rows on ${name}`).to.deep.equal(rows['a'])
            expect(rows['a']).to.include.members(load.committed.map(({ id }) => id))
            expect(await alarms(world)).to.deep.equal([])
        } finally {
            await moved.kill()
        }
    })
})
