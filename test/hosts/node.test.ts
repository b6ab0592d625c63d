/** A node's host is killed, frozen or cut off, and comes back: as it was, or under another address. */
import { expect } from 'chai'
import { ClosedGate } from '../crash/support/gate'
import { Ledger, outcomeOf } from '../crash/support/ledger'
import { beginTransfer, sendCommit } from '../crash/support/session'
import { until } from '../support/wait'
import { LONG, Scene } from './support/scene'

interface Strike {
    /** Ends the sentence "a node's host that …". */
    readonly is: string
    hit(scene: Scene): Promise<void>
    heal(scene: Scene): Promise<void>
}

const STRIKES: readonly Strike[] = [
    {
        is: 'is killed',
        hit: ({ servers: { c } }) => c.kill(),
        heal: ({ servers: { c } }) => c.start()
    },
    {
        is: 'loses its power, and starts under another address',
        hit: ({ servers: { c } }) => c.machine.losePower(),
        heal: async ({ servers: { c } }) => {
            await c.machine.move()
            await c.start()
        }
    },
    {
        is: 'freezes',
        hit: ({ servers: { c } }) => c.machine.pause(),
        heal: ({ servers: { c } }) => c.machine.resume()
    },
    {
        is: 'is cut off',
        hit: ({ servers: { c } }) => c.machine.unplug(),
        heal: ({ servers: { c } }) => c.machine.plug()
    },
    {
        is: 'is cut off, and comes back under another address',
        hit: ({ servers: { c } }) => c.machine.unplug(),
        heal: ({ servers: { c } }) => c.machine.move()
    }
]

describe("a node's host that", function () {
    this.timeout(180_000)
    let scene: Scene

    before(async () => {
        scene = await Scene.create({ name: 'node' })
    })
    beforeEach(() => scene.revive())
    after(() => scene?.destroy())

    /** Nothing of the lost connections is in the way of the next set. */
    async function goesOn(): Promise<void> {
        const ledger = await Ledger.open(scene.world)
        const session = await scene.session()
        const set = await beginTransfer(scene.world, session)
        expect(await sendCommit(session)).to.equal('committed')
        await scene.closes(ledger, 'committed', set)
    }

    for (const strike of STRIKES) {
        it(`${strike.is} before PREPARE takes the set with it, and the session is told in time`, async () => {
            const ledger = await Ledger.open(scene.world)
            const session = await scene.session()
            await session.run("set statement_timeout = '2s'")
            const set = await beginTransfer(scene.world, session)
            await strike.hit(scene)
            expect(await sendCommit(session)).to.be.an('error')
            expect(await outcomeOf(scene.world, set)).to.equal('rolled back')
            await until('b is rolled back although c is not back', async () => (await preparedOn('b')) === 0, LONG)
            await strike.heal(scene)
            await scene.closes(ledger, 'rolled back', set)
            await goesOn()
        })

        it(`${strike.is} with a branch in doubt is waited for, and commits it when it is back`, async () => {
            const ledger = await Ledger.open(scene.world)
            const session = await scene.session()
            const gate = await ClosedGate.close(scene.world)
            const set = await beginTransfer(scene.world, session, 'behind')
            const answer = sendCommit(session)
            await gate.reached()
            expect(await scene.world.prepared()).to.have.length(2)
            await strike.hit(scene)
            await gate.open()
            expect(await answer).to.equal('committed')
            await until('b is committed although c is not back', async () => (await preparedOn('b')) === 0, LONG)
            await until(
                'c is shown to be waited for',
                async () =>
                    (await scene.world.admin("select from pglobalxact.branches($1) where node = 'c' and last_error is not null", [set]))
                        .length > 0,
                LONG
            )
            await strike.heal(scene)
            await scene.closes(ledger, 'committed', set)
            await goesOn()
        })
    }

    const preparedOn = async (node: string): Promise<number> =>
        (await scene.world.node(node, "select from pg_prepared_xacts where gid like 'pgx%'")).length
})
