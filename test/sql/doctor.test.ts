import { expect } from 'chai'
import { startCluster, type Cluster } from '../support/cluster'
import { requirePsql } from '../support/psql'
import { World } from '../support/world'
import { checks, findings, shown } from './doctor/support'

describe('doctor()', () => {
    let world: World
    let own: Cluster
    before(async function () {
        requirePsql.call(this)
        own = await startCluster({ name: 'own' })
        world = await World.create({ name: 'doctor', clusters: { a: own } })
    })
    after(async () => {
        await world?.destroy()
        await own?.destroy()
    })

    it('finds nothing where all is well, and says how many checks it made', async () => {
        expect(await findings(world)).to.deep.equal([])
        const made = await checks(world)
        const [row, ...more] = await shown(world)
        expect(more).to.deep.equal([])
        expect(row).to.deep.equal({
            severity: 'ok',
            place: 'everywhere',
            finding: 'nothing found',
            why: `${new Set(made.map(({ key, place }) => `${key} ${place}`)).size} checks were made`,
            fix: ''
        })
    })
})
