import { startCluster, type Cluster } from '../support/cluster'
import { requirePsql } from '../support/psql'
import { World } from '../support/world'
import { LOST, SETTINGS, WAY } from './doctor/nodes'
import { provokeAndCure } from './doctor/support'
import { WAL } from './doctor/wal'

describe('doctor() on nodes', () => {
    let world: World
    const clusters: Record<string, Cluster> = {}
    before(async function () {
        requirePsql.call(this)
        for (const name of ['a', 'b']) clusters[name] = await startCluster({ name })
        world = await World.create({ name: 'doctor_n', nodes: ['b'], clusters })
    })
    after(async () => {
        await world?.destroy()
        for (const cluster of Object.values(clusters)) await cluster.destroy()
    })

    describe('the way to one', () => provokeAndCure(WAY, () => world))
    describe('the WAL it keeps', () => provokeAndCure(WAL, () => world))
    describe('its loss', () => provokeAndCure(LOST, () => world))
    describe('its server', () => provokeAndCure(SETTINGS, () => world))
})
