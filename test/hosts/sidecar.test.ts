/** The acting sidecar's host is killed, frozen or cut off, a second one on another host takes over, and the first comes back. */
import { expect } from 'chai'
import { Ledger, outcomeOf } from '../crash/support/ledger'
import { beginTransfer, sendCommit } from '../crash/support/session'
import { until } from '../support/wait'
import { LONG, Scene } from './support/scene'
import type { HostSidecar } from './support/sidecar'

describe("the acting sidecar's host", function () {
    this.timeout(240_000)
    let scene: Scene
    let first: HostSidecar
    let second: HostSidecar
    let ledger: Ledger
    let set: string

    /** A set is committed. The first sidecar has it on disk and stands still before it sends anything; the second one waits. */
    beforeEach(async () => {
        scene = await Scene.create({ name: 'sidecar', sidecarHosts: ['s1', 's2'] })
        ;[first, second] = scene.sidecars as [HostSidecar, HostSidecar]
        await first.kill()
        await first.start('--fault-point', 'after state line')
        await second.launch()
        const [, home] = / home=([0-9a-f]{16})/.exec(await second.waitForLog(/state directory read/))!
        await scene.world.admin('select pglobalxact.allow_home($1, $2)', [home, 'second of the pair'])
        await second.waitForLog(/another sidecar acts/)
        ledger = await Ledger.open(scene.world)
        const session = await scene.session()
        set = await beginTransfer(scene.world, session)
        expect(await sendCommit(session)).to.equal('committed')
        await first.waitForLog(/stopped at fault point/)
        expect(await scene.world.prepared()).to.have.length(2)
    })
    afterEach(() => scene?.destroy())

    /** The second one has finished the first one's set, from the commit record alone. */
    async function takenOver(): Promise<void> {
        await second.waitForLog(/ acting /)
        await until('the second sidecar has committed the branches', async () => (await scene.world.prepared()).length === 0, LONG)
        expect(await outcomeOf(scene.world, set)).to.equal('committed')
    }

    /** The first one is back with the decision in hand, as if it had acted a moment ago: and waits. */
    async function secondStays(): Promise<void> {
        await first.waitForLog(/another sidecar acts/)
        const [row] = await scene.world.sql<{ at: string }>(
            'select host(client_addr) as at from pg_stat_activity where pid = (select pid from pglobalxact._sidecar_pid())'
        )
        expect(row!.at).to.equal(second.host.address)
        expect(await ordersFrom(first), 'orders that the first one gave').to.deep.equal([])
        expect(await ordersFrom(second)).to.have.length(2)
    }

    /** Its turn again: what it remembers is over, and it finds that out. */
    async function firstAgain(): Promise<void> {
        const from = await first.printed()
        await second.host.kill()
        await first.waitForLog(/ acting /, from)
        await scene.closes(ledger, 'committed', set)
    }

    /** As the nodes' own logs tell. */
    async function ordersFrom(sidecar: HostSidecar): Promise<readonly string[]> {
        const logs = await Promise.all([scene.servers.b, scene.servers.c].map((server) => server.readLog()))
        const from = new RegExp(` ${sidecar.host.address.replaceAll('.', '\\.')}\\(\\d+\\) .*(COMMIT|ROLLBACK) PREPARED '`)
        return logs.flatMap((log) => log.split('\n')).filter((line) => from.test(line))
    }

    it('is killed: the second one finishes what it had decided, and it waits when it is back', async () => {
        await first.host.kill()
        await takenOver()
        await first.host.start()
        await first.launch()
        await secondStays()
        await firstAgain()
    })

    it('is cut off: the second one takes over, and it does nothing any more when it is back', async () => {
        await first.host.unplug()
        await takenOver()
        await first.host.plug()
        await first.signal('CONT')
        await secondStays()
        await firstAgain()
    })

    it('freezes as a whole, as a virtual machine does: the second one takes over, and it does nothing any more when it thaws', async () => {
        await first.host.pause()
        await first.host.unplug()
        await takenOver()
        await first.host.plug()
        await first.host.resume()
        await first.signal('CONT')
        await secondStays()
        await firstAgain()
    })

    it('freezes, its kernel still answering: the second one waits, because nobody can know that it is dead', async () => {
        await first.host.pause()
        const looked = async (): Promise<unknown> =>
            (await scene.world.sql('select rival_at::text from pglobalxact.sidecar'))[0]!['rival_at']
        const before = await looked()
        await until('the second sidecar has asked again', async () => (await looked()) !== before, LONG)
        expect(await scene.world.prepared()).to.have.length(2)
        await first.host.resume()
        await first.signal('CONT')
        await scene.closes(ledger, 'committed', set)
        expect(await ordersFrom(second)).to.deep.equal([])
    })
})
