import { logicalCluster } from '../sidecar/watching'
import { startCluster, type Cluster } from '../support/cluster'
import { requirePsql } from '../support/psql'
import { World } from '../support/world'
import { CLOCKS, CONSUMERS, WATCH } from './doctor/parts'
import { provokeAndCure } from './doctor/support'

describe('doctor() on parts that may be off', () => {
    let world: World
    const clusters: Record<string, Cluster> = {}
    before(async function () {
        requirePsql.call(this)
        clusters['a'] = await startCluster({ name: 'a' })
        clusters['b'] = await logicalCluster('b')
        world = await World.create({ name: 'doctor_p', nodes: ['b'], clusters })
    })
    after(async () => {
        await world?.destroy()
        for (const cluster of Object.values(clusters)) await cluster.destroy()
    })

    describe('consumers of events', () => provokeAndCure(CONSUMERS, () => world))
    describe('a kept clock', () => provokeAndCure(CLOCKS, () => world))
    describe('a watched node', () => provokeAndCure(WATCH, () => world))
})
