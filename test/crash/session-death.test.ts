/** The session, its server or their host dies at every point of a COMMIT. */
import { expect } from 'chai'
import { requirePsql } from '../support/psql'
import { until } from '../support/wait'
import type { World } from '../support/world'
import { DEATHS, type Death } from './support/deaths'
import { ClosedGate, installGate } from './support/gate'
import { createGround, destroyGround, reviveWithSidecar } from './support/ground'
import { Ledger, segments, type Outcome } from './support/ledger'
import { beginTransfer, openClient, openPsql, sendCommit, type Gate, type Session } from './support/session'

interface Point {
    /** Ends the sentence "a session that dies …". */
    readonly name: string
    readonly decided: boolean
    /** A PREPARE reaches c after all is over. */
    readonly late?: boolean
    /** Brings the session to the point; the function returned lets what was held go on. */
    reach(session: Session): Promise<{ set: string; answer: Promise<'committed' | Error>; release: () => Promise<void> }>
}

describe('a session that dies during its COMMIT', () => {
    let world: World

    before(async () => {
        world = await createGround({ name: 'session_death', proxied: true })
        await installGate(world)
    })
    beforeEach(() => reviveWithSidecar(world))
    after(() => destroyGround(world))

    const atGate = (gate: Gate, prepared: number) => async (session: Session) => {
        const closed = await ClosedGate.close(world)
        const set = await beginTransfer(world, session, gate)
        const answer = sendCommit(session)
        await closed.reached()
        // The decision rule looks at a set whose transaction still runs, and leaves it.
        const passes = await world.admin<{ prepared: number; left_alone: number }>('select * from pglobalxact.recover()')
        expect(passes.map((pass) => pass.left_alone)).to.deep.equal(passes.map(() => prepared))
        expect(await world.prepared()).to.have.length(prepared * 2)
        return { set, answer, release: () => closed.open() }
    }

    /** b has prepared; the PREPARE for c is held by the network, and delivered late. */
    const betweenPrepares = async (session: Session) => {
        const set = await beginTransfer(world, session)
        const proxy = world.proxies.get('c')!
        const held = proxy.onClientData('prepare transaction', 'before', () => proxy.blackhole())
        const answer = sendCommit(session)
        await held
        await until('b has prepared', async () => (await world.prepared()).length === 1)
        return { set, answer, release: () => proxy.restore() }
    }

    const afterLocalCommit = async (session: Session) => {
        await world.sidecar!.kill()
        const set = await beginTransfer(world, session)
        expect(await sendCommit(session)).to.equal('committed')
        expect(await world.prepared()).to.have.length(2)
        expect(segments(world)).to.deep.equal([])
        return { set, answer: Promise.resolve('committed' as const), release: async () => undefined }
    }

    /** Without this the end could be checked before the late PREPARE has come. */
    const lateBranchRolledBack = (set: string): Promise<boolean> =>
        until('the late branch on c is rolled back', () =>
            new RegExp(`ROLLBACK PREPARED 'pgx_[0-9a-f]+_${set}_`).test(world.nodes.get('c')!.log())
        )

    const POINTS: readonly Point[] = [
        { name: 'before any PREPARE', decided: false, reach: atGate('before', 0) },
        { name: 'between two PREPAREs, one of which arrives late', decided: false, late: true, reach: betweenPrepares },
        { name: 'after all PREPAREs, before the local commit', decided: false, reach: atGate('behind', 1) },
        { name: 'after the local commit, with no sidecar there', decided: true, reach: afterLocalCommit }
    ]

    const outcomeOf = (point: Point, death: Death): Outcome => (point.decided || death.clientOnly ? 'committed' : 'rolled back')

    for (const point of POINTS) {
        for (const death of DEATHS) {
            it(`${point.name} is ${outcomeOf(point, death)} everywhere, when ${death.when}`, async function () {
                if (death.clientOnly) requirePsql.call(this)
                const ledger = await Ledger.open(world)
                const session = await (death.clientOnly ? openPsql : openClient)(world)
                const { set, answer, release } = await point.reach(session)
                await death.strike(world, session)
                await release()
                await death.heal?.(world)
                if (!world.sidecar?.running) await world.startSidecar()
                if (point.late && !death.clientOnly) await lateBranchRolledBack(set)
                if (!point.decided) expect(await answer, 'what the client is told').to.be.an('error')
                await ledger.closesAs(outcomeOf(point, death), set)
            })
        }
    }
})
