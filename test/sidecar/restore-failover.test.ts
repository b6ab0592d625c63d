import { expect } from 'chai'
import { Pair } from '../crash/support/pair'
import { inStep } from '../crash/support/standby'
import { until } from '../support/wait'
import { armHold, held, hold } from './restore/hold'

describe('a restore point that is being written while the coordinator fails over', () => {
    let pair: Pair
    beforeEach(async function () {
        this.timeout(120_000)
        pair = await Pair.create({ name: 'point' })
        const grant = 'grant execute on function pg_create_restore_point(text) to'
        await pair.world.sql(`${grant} pglobalxact`)
        for (const node of ['b', 'c']) await pair.world.node(node, `${grant} node_sidecar`)
    })
    afterEach(() => pair.destroy())

    const marks = async (node: string): Promise<number> =>
        (await pair.world.node(node, "select from pg_prepared_xacts where gid like 'pgxr%' and database = current_database()")).length
    const points = () => pair.world.admin('select name, state from pglobalxact.restore_points()')

    for (const heard of [true, false]) {
        it(`is none, and leaves no mark on a node: the new primary ${heard ? 'takes itself for one that was restored' : 'has not heard of it'}`, async function () {
            this.timeout(120_000)
            const { world, old } = pair
            await armHold(world)
            const host = await pair.secondHost()
            await inStep(old)
            if (!heard) await pair.cutStandby()
            const stop = await hold(world)
            const answer = world
                .admin("select pglobalxact.create_restore_point('friday', timeout => '10 seconds')")
                .catch((error: unknown) => error)
            await held(world)
            // c does not get further: the PREPARE of its mark is under way when its sender dies.
            world.nodes.get('c')!.pause()
            await stop.end()
            await until('one node is marked', async () => (await marks('b')) === 1)
            if (heard) await inStep(old)
            await pair.lose()
            world.nodes.get('c')!.resume()
            await pair.takeOver(host, 'adopt')
            expect(await answer).to.be.instanceOf(Error)
            expect(await points()).to.deep.equal(heard ? [{ name: 'friday', state: 'restored to' }] : [])
            await until('no mark is left', async () => (await marks('b')) + (await marks('c')) === 0)
            await world.nodesReached()
            expect(await marks('c')).to.equal(0)
            await world.admin("select pglobalxact.create_restore_point('saturday', timeout => '10 seconds')")
            expect((await points())[0]).to.deep.equal({ name: 'saturday', state: 'complete' })
            await world.settled()
        })
    }
})
