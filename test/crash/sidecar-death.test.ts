/** The sidecar gets SIGKILL at named points (sidecar/fault.ts), and another one takes over. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { until } from '../support/wait'
import type { World } from '../support/world'
import { createGround, destroyGround, revive } from './support/ground'
import { Ledger, outcomeOf, segments, stateFiles } from './support/ledger'
import { beginTransfer, openClient, sendCommit } from './support/session'

describe('a sidecar that gets SIGKILL', () => {
    let world: World

    before(async () => {
        world = await createGround({ name: 'sidecar_death', proxied: true })
    })
    beforeEach(async () => {
        await revive(world)
        await world.sidecar?.stop()
    })
    after(() => destroyGround(world))

    async function commitOne(): Promise<string> {
        const session = await openClient(world)
        const set = await beginTransfer(world, session)
        expect(await sendCommit(session)).to.equal('committed')
        return set
    }

    /** Starts a sidecar that stops itself there, commits a set, and waits until it has stopped. */
    async function stoppedAt(point: string): Promise<string> {
        const sidecar = await world.startSidecar(['--fault-point', point])
        await world.nodesReached()
        const set = await commitOne()
        await sidecar.waitForLog(new RegExp(`stopped at fault point point="${point}"`))
        return set
    }

    /** What the state files say, line by line, without frame, times and checksums. */
    const written = (): readonly string[] =>
        segments(world)
            .flatMap((name) => readFileSync(join(world.stateDir, name), 'utf8').trimEnd().split('\n'))
            .filter((line) => !line.startsWith('- '))
            .map((line) => line.replace(/^(\S+) \S+ (phase \S+|commit) ?(?:\S+ (pgx_\S+) (\S+))?.*$/, '$1 $2 $3 $4').trimEnd())

    const complete = async (set: string): Promise<boolean> =>
        (
            await world.sql<{ complete: boolean }>(
                `select complete_at is not null as complete from pglobalxact.commit_record where xid || '_' || nonce = $1`,
                [set]
            )
        )[0]!.complete

    it('before it has written the decision down leaves it to the commit record', async () => {
        const ledger = await Ledger.open(world)
        const set = await stoppedAt('before state line')
        expect(stateFiles(world)).to.deep.equal([])
        expect(await world.prepared()).to.have.length(2)
        await world.sidecar!.kill()
        await world.startSidecar()
        await ledger.closesAs('committed', set)
    })

    it('after it has written the decision down, and sent nothing, is followed by one that sends it', async () => {
        const ledger = await Ledger.open(world)
        const set = await stoppedAt('after state line')
        const gids = await world.prepared()
        expect(gids).to.have.length(2)
        expect(written()).to.have.members([`${set} phase commit`, ...gids.map((gid) => `${set} commit ${gid} pending`)])
        await world.sidecar!.kill()
        await world.startSidecar()
        await ledger.closesAs('committed', set)
    })

    it('between two COMMIT PREPAREDs is followed by one that sends the other', async () => {
        const ledger = await Ledger.open(world)
        const set = await stoppedAt('between commits')
        expect(await world.prepared()).to.have.length(1)
        expect(await outcomeOf(world, set)).to.equal('committed')
        await world.sidecar!.kill()
        await world.startSidecar()
        await ledger.closesAs('committed', set)
    })

    it('before it has told the coordinator is followed by one that proves what was done and tells', async () => {
        const ledger = await Ledger.open(world)
        const set = await stoppedAt('before write-back')
        expect(await world.prepared()).to.deep.equal([])
        expect(await complete(set)).to.equal(false)
        await world.sidecar!.kill()
        await world.startSidecar()
        await ledger.closesAs('committed', set)
        expect(await complete(set)).to.equal(true)
    })

    it('during compaction leaves two files, of which the new one tells everything', async () => {
        const ledger = await Ledger.open(world)
        // A set that cannot be finished keeps the old file alive.
        await world.startSidecar()
        const session = await openClient(world)
        const first = await beginTransfer(world, session)
        const black = world.proxies.get('c')!
        const cut = black.onClientData('COMMIT PREPARED', 'before', () => {
            black.blackhole()
            black.resetAll()
        })
        expect(await sendCommit(session)).to.equal('committed')
        await cut
        await until('b is committed', async () => (await world.prepared()).length === 1 && segments(world).length === 1)
        await world.sidecar!.kill()
        // A node that cannot be reached takes no part in a set: the second one is b's alone.
        const sidecar = await world.startSidecar(['--fault-point', 'during compaction'])
        const second = await beginTransfer(world, session, 'none', 10, ['b'])
        expect(await sendCommit(session)).to.equal('committed')
        await sidecar.waitForLog(/stopped at fault point point="during compaction"/)
        expect(segments(world)).to.have.length(2)
        await sidecar.kill()
        await black.restore()
        await world.startSidecar()
        await world.settled()
        expect(await world.balances()).to.deep.equal({
            a: ledger.before['a']! - 30,
            b: ledger.before['b']! + 20,
            c: ledger.before['c']! + 10
        })
        await until('the state directory is empty', () => stateFiles(world).length === 0)
        for (const set of [first, second]) expect(await outcomeOf(world, set)).to.equal('committed')
    })

    it('while the coordinator is down is followed by one that waits for it, with the decision in hand', async () => {
        const ledger = await Ledger.open(world)
        const set = await stoppedAt('after state line')
        await world.coordinator.stop('immediate')
        await world.sidecar!.kill()
        const starting = world.startSidecar()
        await world.sidecar!.waitForLog(/state directory read .*sets=1/)
        await world.sidecar!.waitForLog(/cannot reach the coordinator/)
        await world.coordinator.start()
        await starting
        await ledger.closesAs('committed', set)
    })

    for (const node of ['b', 'c']) {
        for (const when of ['before', 'after'] as const) {
            it(`just ${when} its COMMIT PREPARED reaches node ${node} is followed by one that finds out`, async () => {
                const ledger = await Ledger.open(world)
                const sidecar = await world.startSidecar()
                const struck = world.proxies.get(node)!.onClientData('COMMIT PREPARED', when, () => void sidecar.kill())
                const set = await commitOne()
                await struck
                await sidecar.kill()
                await world.startSidecar()
                await ledger.closesAs('committed', set)
            })
        }
    }
})
