import { expect } from 'chai'
import type { Client } from 'pg'
import { startCluster, type Cluster } from '../support/cluster'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow } from './common'

const SLOTS = 20

describe('a node that is slower than the load', () => {
    let slow: Cluster
    let world: World
    before(async () => {
        slow = await startCluster({ name: 'slow', settings: { max_prepared_transactions: SLOTS } })
        world = await World.create({ name: 'backlog', clusters: { b: slow }, sidecarArgs: ['--node-timeout', '60000'] })
        // The program's PREPAREs go through, and the sidecar's COMMIT PREPAREDs wait for a standby that there is not.
        await world.node('b', `alter role node_app in database ${world.database} set synchronous_commit = local`)
    })
    after(async () => {
        await world.destroy()
        await slow.destroy()
    })

    const status = async (): Promise<Record<string, unknown>> =>
        (await world.admin('select queued, unwritten, state_sets from pglobalxact.status()'))[0]!

    /** How many of so many sets were committed; the others must have been refused for want of a slot. */
    async function burst(client: Client, count: number): Promise<number> {
        let committed = 0
        for (let n = 0; n < count; n++) {
            try {
                await addRow(world, client, ['b'])
                committed += 1
            } catch (error) {
                expect(String(error)).to.match(/maximum number of prepared transactions/)
                await client.query('rollback')
            }
        }
        return committed
    }

    it('has as many branches waiting as it has slots, shown in status(), and keeps no other node waiting', async () => {
        const client = await world.connect()
        await world.nodesReached()
        await slow.reload({ synchronous_standby_names: 'nobody' })
        expect(await burst(client, 3 * SLOTS)).to.equal(SLOTS)
        const full = { queued: SLOTS, unwritten: 0, state_sets: SLOTS }
        await until('status() shows them', async () => expect(await status()).to.deep.equal(full) && true)
        for (let n = 0; n < 5; n++) {
            await addRow(world, client, ['c'])
            expect((await client.query<{ outcome: string }>('select pglobalxact.await() as outcome')).rows[0]!.outcome).to.equal(
                'committed'
            )
        }
        expect(await burst(client, SLOTS), 'more of them').to.equal(0)
        await slow.reload({ synchronous_standby_names: '' })
        await world.settled()
        await until('nothing waits any more', async () => (await status())['queued'] === 0)
    })
})
