/** The coordinator's host, PostgreSQL and sidecar on it, is killed, frozen or cut off. */
import { expect } from 'chai'
import { ClosedGate } from '../crash/support/gate'
import { Ledger } from '../crash/support/ledger'
import { beginTransfer, sendCommit } from '../crash/support/session'
import { until } from '../support/wait'
import { LONG, Scene } from './support/scene'

describe("the coordinator's host", function () {
    this.timeout(180_000)
    let scene: Scene

    before(async () => {
        scene = await Scene.create({ name: 'coordinator' })
    })
    beforeEach(() => scene.revive())
    after(() => scene?.destroy())

    const gone = async (...nodes: readonly string[]): Promise<boolean> =>
        (await Promise.all(nodes.map((node) => scene.world.node(node, "select from pg_prepared_xacts where gid like 'pgx%'")))).flat()
            .length === 0

    /** A COMMIT that has prepared b and c, and stands before its local commit. */
    async function prepared() {
        const session = await scene.session()
        const gate = await ClosedGate.close(scene.world)
        const set = await beginTransfer(scene.world, session, 'behind')
        const answer = sendCommit(session)
        await gate.reached()
        expect(await scene.world.prepared()).to.have.length(2)
        return { session, gate, set, answer }
    }

    it('commits a set on three hosts', async () => {
        const ledger = await Ledger.open(scene.world)
        const session = await scene.session()
        const set = await beginTransfer(scene.world, session)
        expect(await sendCommit(session)).to.equal('committed')
        await session.run("select pglobalxact.await(timeout => '30 s')")
        await scene.closes(ledger, 'committed', set)
    })

    it('losing its power before any PREPARE is sent leaves no work and no lock on the nodes', async () => {
        const ledger = await Ledger.open(scene.world)
        const session = await scene.session()
        const set = await beginTransfer(scene.world, session)
        await scene.servers.a.machine.losePower()
        await scene.revive()
        await scene.closes(ledger, 'rolled back', set)
        // It wants the very rows that the dead one had locked.
        const next = await scene.session()
        await next.run("set statement_timeout = '60s'")
        const second = await beginTransfer(scene.world, next)
        expect(await sendCommit(next)).to.equal('committed')
        await scene.closes(ledger, 'committed', second)
    })

    it('killed between PREPARE and COMMIT: the set is rolled back everywhere when it is back', async () => {
        const ledger = await Ledger.open(scene.world)
        const { answer, gate, set } = await prepared()
        await scene.servers.a.kill()
        expect(await gone('b', 'c'), 'nobody is there to decide').to.equal(false)
        await scene.revive()
        await gate.open()
        expect(await answer).to.be.an('error')
        await scene.closes(ledger, 'rolled back', set)
    })

    it('losing its power between PREPARE and COMMIT: the same, although nobody heard of it', async () => {
        const ledger = await Ledger.open(scene.world)
        const { gate, set } = await prepared()
        await scene.servers.a.machine.losePower()
        gate.drop()
        await scene.revive()
        await scene.closes(ledger, 'rolled back', set)
    })

    for (const point of ['before state line', 'after state line', 'between commits', 'before write-back']) {
        it(`losing its power after its COMMIT, the sidecar being ${point}: the set is committed everywhere when it is back`, async () => {
            const ledger = await Ledger.open(scene.world)
            const [sidecar] = scene.sidecars
            await sidecar!.kill()
            await sidecar!.start('--fault-point', point)
            await scene.world.nodesReached()
            const session = await scene.session()
            const set = await beginTransfer(scene.world, session)
            expect(await sendCommit(session)).to.equal('committed')
            await sidecar!.waitForLog(new RegExp(`stopped at fault point point="${point}"`))
            await scene.servers.a.machine.losePower()
            await scene.revive()
            await scene.closes(ledger, 'committed', set)
        })
    }

    it('frozen between PREPARE and COMMIT goes on where it stood', async () => {
        const ledger = await Ledger.open(scene.world)
        const { answer, gate, set } = await prepared()
        await scene.servers.a.machine.pause()
        const opened = gate.open()
        expect(await gone('b', 'c')).to.equal(false)
        await scene.servers.a.machine.resume()
        await opened
        expect(await answer).to.equal('committed')
        await scene.closes(ledger, 'committed', set)
    })

    it('cut off from everyone commits for itself, and its nodes follow when it is back', async () => {
        const ledger = await Ledger.open(scene.world)
        const { gate, set } = await prepared()
        const { machine } = scene.servers.a
        const [holder] = await scene.world.sql<{ pid: number }>(
            "select pid from pg_locks where locktype = 'advisory' and objid = 4711 and granted"
        )
        await machine.unplug()
        // Only on the host itself can anybody still do something: this opens the gate, and the COMMIT goes on.
        expect((await machine.run('/bin/sh', '-c', `kill ${holder!.pid}`)).code).to.equal(0)
        await until('the decision is on its disk', async () => (await scene.sidecars[0]!.stateLines()).includes(`${set} `), LONG)
        await scene.sidecars[0]!.waitForLog(/node cannot be reached/)
        expect(await gone('b', 'c'), 'b and c hear nothing of it').to.equal(false)
        await machine.plug()
        await gate.open()
        await scene.closes(ledger, 'committed', set)
    })

    it('cut off from its nodes tells a session that COMMITs in time, and rolls back everywhere', async () => {
        const ledger = await Ledger.open(scene.world)
        const sessions = await Promise.all([1, 2, 3].map(() => scene.session()))
        const sets = []
        for (const [i, session] of sessions.entries()) {
            await session.run("set statement_timeout = '2s'")
            await session.run('begin')
            for (const node of ['b', 'c'])
                await session.run(`select pglobalxact.exec('${node}', 'insert into account values (${i + 2}, 0)')`)
            sets.push((await session.run('select pglobalxact.set_id() as id')) as { rows: { id: string }[] })
        }
        await scene.servers.a.machine.unplug(scene.back)
        for (const answer of await Promise.all(sessions.map(sendCommit))) {
            expect(answer).to.be.an('error')
            expect((answer as Error).message).to.match(/node "[bc]"|timeout/)
        }
        for (const session of sessions) expect(((await session.run('select 1 as one')) as { rows: unknown[] }).rows).to.have.length(1)
        await scene.servers.a.machine.plug()
        for (const { rows } of sets) await scene.closes(ledger, 'rolled back', rows[0]!.id)
        await until(
            'no row of them is on a node',
            async () => {
                const rows = await Promise.all(['b', 'c'].map((node) => scene.world.node(node, 'select from account where id > 1')))
                return rows.flat().length === 0
            },
            LONG
        )
    })
})
