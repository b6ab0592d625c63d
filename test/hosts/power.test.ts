/** The power fails for all hosts at once, in the middle of several sets; afterwards every host has another address. */
import { expect } from 'chai'
import { ClosedGate } from '../crash/support/gate'
import { Ledger, outcomeOf } from '../crash/support/ledger'
import { beginTransfer, sendCommit } from '../crash/support/session'
import { Scene } from './support/scene'

describe('a power failure', function () {
    this.timeout(240_000)
    let scene: Scene

    before(async () => {
        scene = await Scene.create({ name: 'power' })
    })
    after(() => scene?.destroy())

    it('of every host leaves each set what it was: committed, or rolled back, under new addresses too', async () => {
        const { world, servers, sidecars } = scene
        const [sidecar] = sidecars
        const ledger = await Ledger.open(world)
        await sidecar!.kill()
        await sidecar!.start('--fault-point', 'between commits')
        await world.nodesReached()
        const decided = await scene.session()
        const committed = await beginTransfer(world, decided)
        expect(await sendCommit(decided)).to.equal('committed')
        await sidecar!.waitForLog(/stopped at fault point/)
        // Of a second set the branch is prepared, and its local commit is held up.
        const gate = await ClosedGate.close(world)
        const undecided = await scene.session()
        await undecided.run('begin')
        await undecided.run("select pglobalxact.exec('b', 'insert into account values (77, 5)')")
        const { rows } = (await undecided.run('select pglobalxact.set_id() as id')) as { rows: readonly { id: string }[] }
        await undecided.run("insert into gate values ('behind')")
        void sendCommit(undecided)
        await gate.reached()
        expect(await world.prepared(), 'one of the first set, one of the second').to.have.length(2)
        await Promise.all(Object.values(servers).map(({ machine }) => machine.losePower()))
        gate.drop()
        for (const { machine } of Object.values(servers)) await machine.move()
        await scene.revive()
        await scene.closes(ledger, 'committed', committed)
        expect(await outcomeOf(world, rows[0]!.id)).to.equal('rolled back')
        expect(await world.node('b', 'select from account where id = 77')).to.have.length(0)
    })
})
