/** A node is lost at every point of a COMMIT, in every way; the others do not wait for it. */
import { expect } from 'chai'
import { until } from '../support/wait'
import type { World } from '../support/world'
import { ClosedGate, installGate } from './support/gate'
import { createGround, destroyGround, reviveWithSidecar } from './support/ground'
import { Ledger, outcomeOf } from './support/ledger'
import { beginTransfer, openClient, sendCommit } from './support/session'
import { STRIKES } from './support/strikes'

describe('a node that is lost', () => {
    let world: World

    before(async () => {
        world = await createGround({ name: 'node_lost', proxied: true, sidecarArgs: ['--node-timeout', '1000'] })
        await installGate(world)
    })
    beforeEach(() => reviveWithSidecar(world))
    after(() => destroyGround(world))

    for (const strike of STRIKES) {
        it(`before PREPARE takes the set with it, when it ${strike.is}`, async () => {
            const ledger = await Ledger.open(world)
            const session = await openClient(world)
            await session.run("set statement_timeout = '1s'")
            const set = await beginTransfer(world, session)
            await strike.hit(world, 'c')
            const answer = await sendCommit(session)
            expect(answer).to.be.an('error')
            if (!strike.silent) expect((answer as Error).message).to.match(/node "c"/)
            expect(await outcomeOf(world, set)).to.equal('rolled back')
            await until(
                'b is rolled back although c is not back',
                async () => (await world.node('b', "select from pg_prepared_xacts where gid like 'pgx%'")).length === 0
            )
            await strike.heal(world, 'c')
            await ledger.closesAs('rolled back', set)
        })

        it(`after PREPARE keeps the set on the books until it is back, when it ${strike.is}`, async () => {
            const ledger = await Ledger.open(world)
            const session = await openClient(world)
            const gate = await ClosedGate.close(world)
            const set = await beginTransfer(world, session, 'behind')
            const answer = sendCommit(session)
            await gate.reached()
            await strike.hit(world, 'c')
            await gate.open()
            expect(await answer).to.equal('committed')
            await until(
                'b is committed although c is not back',
                async () =>
                    Number((await world.node('b', 'select balance from account where id = 1'))[0]!['balance']) === ledger.before['b']! + 10
            )
            const shown = await until(
                'c is shown to be waited for',
                async () =>
                    (
                        await world.admin<{ state: string; last_error: string }>(
                            "select state, last_error from pglobalxact.branches($1) where node = 'c' and last_error is not null",
                            [set]
                        )
                    )[0]
            )
            expect(shown.state).to.be.oneOf(['waiting', 'retry'])
            const [row] = await world.admin('select set_id, phase, outcome, nodes from pglobalxact.sets()')
            expect(row).to.deep.equal({ set_id: set, phase: 'incomplete', outcome: 'committed', nodes: 2 })
            await strike.heal(world, 'c')
            await ledger.closesAs('committed', set)
        })
    }

    for (const when of ['before', 'after'] as const) {
        it(`in the instant ${when} its PREPARE arrives leaves what the client was told true everywhere`, async () => {
            const ledger = await Ledger.open(world)
            const session = await openClient(world)
            const set = await beginTransfer(world, session)
            let killed: Promise<void> | undefined
            const struck = world.proxies.get('c')!.onClientData('prepare transaction', when, () => {
                killed = world.nodes.get('c')!.kill()
            })
            const answer = sendCommit(session)
            await struck
            await killed
            // Its answer may have been on its way already.
            const told = await answer
            if (when === 'before') expect(told).to.be.an('error')
            await world.nodes.get('c')!.start()
            await ledger.closesAs(told === 'committed' ? 'committed' : 'rolled back', set)
        })

        it(`in the instant ${when} its COMMIT PREPARED arrives is committed when it is back`, async () => {
            const ledger = await Ledger.open(world)
            const session = await openClient(world)
            const set = await beginTransfer(world, session)
            let killed: Promise<void> | undefined
            const struck = world.proxies.get('c')!.onClientData('COMMIT PREPARED', when, () => {
                killed = world.nodes.get('c')!.kill()
            })
            expect(await sendCommit(session)).to.equal('committed')
            await struck
            await killed
            await world.nodes.get('c')!.start()
            await ledger.closesAs('committed', set)
        })
    }

    it('does not delay sets on the others, however many wait for it', async () => {
        // So long that whatever waited for the node would be seen to wait.
        await world.sidecar!.stop()
        await world.startSidecar(['--node-timeout', '60000'])
        const ledger = await Ledger.open(world)
        const sessions = await Promise.all([1, 2, 3].map(() => openClient(world)))
        await Promise.all(
            sessions.map(async (session, i) => {
                await session.run('begin')
                await session.run(`select pglobalxact.exec('c', 'insert into account values (${i + 2}, 0)')`)
            })
        )
        const gates = await ClosedGate.close(world)
        await Promise.all(sessions.map((session) => session.run("insert into gate values ('behind')")))
        const commits = sessions.map(sendCommit)
        await until('three COMMITs stand at the gate', async () => (await world.prepared()).length === 3)
        world.proxies.get('c')!.blackhole()
        await gates.open()
        expect(await Promise.all(commits)).to.deep.equal(['committed', 'committed', 'committed'])
        const session = await openClient(world)
        for (let i = 0; i < 5; i++) {
            await beginTransfer(world, session, 'none', 1, ['b'])
            expect(await sendCommit(session)).to.equal('committed')
            await session.run("select pglobalxact.await(timeout => '10 s')")
        }
        expect(await world.admin('select from pglobalxact.sets()')).to.have.length(3)
        await world.proxies.get('c')!.restore()
        await ledger.closesAs('committed', undefined, 5, ['b'])
        await world.node('c', 'delete from account where id > 1')
    })
})
