import { expect } from 'chai'
import { CoordinatorTrouble, type Catalog } from '../../sidecar/catalog'
import { NO_FAULTS } from '../../sidecar/fault'
import { createLog } from '../../sidecar/log'
import type { Node, Scan } from '../../sidecar/node'
import { Keeper } from '../../sidecar/recovery'
import type { Resolver } from '../../sidecar/resolver'

const NOTHING: Scan = {
    prepared: [],
    clock: { clock: 0, asked: 0, answered: 0 },
    slots_used: 0,
    slots: 1,
    version: '17',
    standby: false,
    timeline: '00000001',
    sessions: [],
    members: null,
    oldest_prepared_at: null,
    standbys: 'none'
}

/** A node whose scans wait to be answered, so that calls can be made to overlap. */
function slowNode(catalog?: Catalog) {
    const logged: string[] = []
    const scans: { answer(scan?: Scan): void; fail(): void }[] = []
    const node = {
        up: true,
        fenceState: 'held',
        address: { number: 1, name: 'b', user: 'u' },
        members: () => Promise.resolve({ superuser: false, members: [], login: 'u' }),
        scan: () =>
            new Promise<Scan>((done, fail) => scans.push({ answer: (scan = NOTHING) => done(scan), fail: () => fail(new Error('gone')) }))
    }
    const resolver = {
        hasStarted: true,
        find: () => undefined,
        sweep: () => Promise.resolve(),
        pendingOn: () => [],
        writeBack: () => Promise.resolve(),
        committedOn: () => []
    }
    const log = createLog((line) => logged.push(line))
    const keeper = new Keeper(node as unknown as Node, {
        coordinator: '0badcafe',
        resolver: resolver as unknown as Resolver,
        log,
        fault: NO_FAULTS,
        journal: { note: () => undefined },
        lostSets: 'report',
        retryCap: 1000,
        catalog: () => catalog,
        uriOf: () => ''
    })
    return { keeper, scans, logged }
}

const tick = (): Promise<void> => new Promise((done) => setImmediate(done))

describe('the looks at a node', () => {
    it('that overlap are one', async () => {
        const { keeper, scans } = slowNode()
        const looks = [keeper.look(), keeper.look(), keeper.look()]
        await tick()
        expect(scans).to.have.lengthOf(1)
        scans[0]!.answer()
        expect((await Promise.all(looks)).map((pass) => pass.result)).to.deep.equal(['ok', 'ok', 'ok'])
    })

    it('that a person asks for begin after they are asked for, once for all who wait', async () => {
        const { keeper, scans } = slowNode()
        const regular = keeper.look()
        await tick()
        const asked = [keeper.look(true), keeper.look(true)]
        let answered = false
        void asked[0]!.then(() => (answered = true))
        scans[0]!.answer()
        await regular
        await tick()
        expect([scans.length, answered]).to.deep.equal([2, false])
        // The regular one that comes meanwhile shares it.
        const shared = keeper.look()
        scans[1]!.answer()
        await Promise.all([...asked, shared])
        expect(scans).to.have.lengthOf(2)
        void keeper.look(true)
        await tick()
        expect(scans).to.have.lengthOf(3)
    })

    it('never throw: a failed one says so, and the next begins', async () => {
        const { keeper, scans } = slowNode()
        const first = keeper.look()
        await tick()
        const asked = keeper.look(true)
        scans[0]!.fail()
        expect((await first).result).to.equal('gone')
        await tick()
        scans[1]!.answer()
        expect((await asked).result).to.equal('ok')
    })

    it("lay the coordinator's trouble at no node's door", async () => {
        const lost = (): Promise<never> =>
            Promise.reject(new CoordinatorTrouble(Object.assign(new Error('terminating connection'), { code: '57P01' })))
        const told: unknown[] = []
        const catalog = {
            decide: lost,
            orphaned: lost,
            finishedThere: () => Promise.resolve([]),
            lostBranches: () => Promise.resolve([]),
            observe: (nodes: unknown) => Promise.resolve(told.push(nodes))
        }
        const { keeper, scans, logged } = slowNode(catalog as unknown as Catalog)
        const branch = { gid: 'pgx_0a1b2c3d_1_cafe0123_1', xid: '1', owner: 'app', prepared_at: '2024-02-03', xid8: '1' }
        for (const scan of [
            { ...NOTHING, prepared: [branch] },
            { ...NOTHING, sessions: [{ pid: 1, name: 'x', xact_start: 'y' }] }
        ]) {
            const look = keeper.look()
            await tick()
            scans.pop()!.answer(scan)
            expect((await look).result).to.equal('the coordinator did not answer: terminating connection')
        }
        expect([logged, told]).to.deep.equal([[], []])
    })
})
