import { startCluster, type Cluster } from '../support/cluster'
import { requirePsql } from '../support/psql'
import { World } from '../support/world'
import { BOOKS, INSTALLATION, SERVER } from './doctor/coordinator'
import { provokeAndCure } from './doctor/support'

/** Each on real servers: made so, found, cured by what doctor() says, and gone. */
describe('doctor() at the coordinator', () => {
    let world: World
    const clusters: Record<string, Cluster> = {}
    before(async function () {
        requirePsql.call(this)
        for (const name of ['a', 'b']) clusters[name] = await startCluster({ name })
        world = await World.create({ name: 'doctor_a', nodes: ['b'], clusters })
    })
    after(async () => {
        await world?.destroy()
        for (const cluster of Object.values(clusters)) await cluster.destroy()
    })

    describe('its server', () => provokeAndCure(SERVER, () => world))
    describe('the books', () => provokeAndCure(BOOKS, () => world))
    describe('the installation', () => provokeAndCure(INSTALLATION, () => world))
})
