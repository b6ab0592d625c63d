import { expect } from 'chai'
import { startCluster, type Cluster } from '../support/cluster'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow, failure } from './common'

describe('a sidecar beside a standby', () => {
    let primary: Cluster
    let standby: Cluster
    let world: World
    before(async () => {
        primary = await startCluster({ name: 'primary' })
        world = await World.create({ name: 'standby', clusters: { a: primary }, sidecarArgs: ['--scan-interval', '60000'] })
        await world.sidecar!.stop()
        await primary.stop()
        standby = await startCluster({ name: 'standby', copyOf: primary, standby: true })
        world.coordinator = standby
    })
    after(async () => {
        await world.destroy()
        await standby.destroy()
        await primary.destroy()
    })

    it('says that it waits for the promotion, and decides nothing', async () => {
        const gid = (
            await standby.query<{ gid: string }>(
                "select 'pgx_' || id || '_5_deadbeef_1' as gid from pglobalxact.coordinator",
                [],
                world.database
            )
        )[0]!.gid
        await world.node('b', `begin; insert into account values (5, 5); prepare transaction '${gid}'`)
        const acting = world.startSidecar()
        const sidecar = await until('it has started', () => world.sidecar?.running === true && world.sidecar)
        await sidecar.waitForLog(/this server is a standby: waiting for its promotion/)
        await failure(world.admin('select * from pglobalxact.recover()'))
        expect(await world.prepared()).to.deep.equal([gid])
        expect(sidecar.logs.join('\n')).to.not.contain(' acting ')

        await standby.query('select pg_promote(true)')
        await acting
        await world.sql(`alter server pglobalxact_loopback options (set port '${standby.port}')`)
        // The doorbell rings too, though no LISTEN was possible before: the slow look is a minute away.
        const client = await world.connect()
        for (let turn = 0; turn < 3; turn++) {
            const started = Date.now()
            await addRow(world, client)
            await client.query('select pglobalxact.await()')
            expect(Date.now() - started).to.be.below(3000)
        }
        await world.node('b', `rollback prepared '${gid}'`)
        await world.admin('select * from pglobalxact.recover()')
        await world.settled()
    })
})
