/** "Does not exist" is not success: what became of a branch is proved by its own transaction id, or said to be unknown. */
import { join } from 'node:path'
import { expect } from 'chai'
import { until } from '../support/wait'
import type { World } from '../support/world'
import { ClosedGate, installGate } from './support/gate'
import { createGround, destroyGround, reviveWithSidecar } from './support/ground'
import { Ledger, outcomeOf, stateFiles } from './support/ledger'
import { beginTransfer, openClient, sendCommit } from './support/session'

describe('a branch that is not there when it is to be committed', () => {
    let world: World

    before(async () => {
        world = await createGround({ name: 'fate', proxied: true, sidecarArgs: ['--node-timeout', '1000'] })
        await installGate(world)
    })
    beforeEach(() => reviveWithSidecar(world))
    after(() => destroyGround(world))

    const gidOn = async (node: string, set: string): Promise<string> =>
        (
            await world.sql<{ gid: string }>(
                `
      select 'pgx_' || c.id || '_' || $2 || '_' || n.number as gid from pglobalxact.coordinator c, pglobalxact.node n where n.name = $1`,
                [node, set]
            )
        )[0]!.gid

    /** Commits a set, with the network to c gone in the instant before or after the COMMIT PREPARED for it arrives. */
    async function lostAt(when: 'before' | 'after'): Promise<string> {
        const session = await openClient(world)
        const set = await beginTransfer(world, session)
        const proxy = world.proxies.get('c')!
        const lost = proxy.onClientData('COMMIT PREPARED', when, () => proxy.blackhole())
        expect(await sendCommit(session)).to.equal('committed')
        await lost
        return set
    }

    /** The way to c is open again; what was held on it is lost. */
    async function reconnect(): Promise<void> {
        world.proxies.get('c')!.resetAll()
        await world.proxies.get('c')!.restore()
    }

    /** The set is complete with this outcome, and stays on the books. */
    const shownAs = (set: string, outcome: string) =>
        until(
            `the set is shown as ${outcome}`,
            async () =>
                (await world.admin('select phase, outcome from pglobalxact.sets() where set_id = $1 and outcome = $2', [set, outcome]))[0]
        )

    async function acknowledged(set: string): Promise<void> {
        await world.admin("select pglobalxact.acknowledge($1, 'seen in a test')", [set])
        await world.settled()
        await until('the state directory is empty', () => stateFiles(world).length === 0)
    }

    it('is found committed when only the answer to COMMIT PREPARED was lost', async () => {
        const ledger = await Ledger.open(world)
        const set = await lostAt('after')
        await until('c has committed', async () => (await world.prepared()).length === 0)
        const [row] = await until('the loss of c is noticed', async () => {
            const rows = await world.admin(
                'select b.state from pglobalxact.branches($1) b where b.node = $2 and b.last_error is not null',
                [set, 'c']
            )
            return rows.length > 0 && rows
        })
        expect(row!['state'], 'nothing is assumed').to.be.oneOf(['waiting', 'retry'])
        const log = world.nodes.get('c')!.log().length
        await reconnect()
        await ledger.closesAs('committed', set)
        expect(world.nodes.get('c')!.log().slice(log)).to.match(
            /prepared transaction with identifier "\S+" does not exist[\s\S]*pg_xact_status/
        )
    })

    it('is committed by a second COMMIT PREPARED when the first one was lost', async () => {
        const ledger = await Ledger.open(world)
        const set = await lostAt('before')
        expect(await world.prepared()).to.include(await gidOn('c', set))
        await reconnect()
        await ledger.closesAs('committed', set)
    })

    it('is found committed when someone committed it by hand', async () => {
        const ledger = await Ledger.open(world)
        const set = await lostAt('before')
        await world.node('c', `commit prepared '${await gidOn('c', set)}'`)
        await reconnect()
        await ledger.closesAs('committed', set)
    })

    it('makes the set mixed when someone rolled it back by hand, until a person acknowledges it', async () => {
        const ledger = await Ledger.open(world)
        const set = await lostAt('before')
        const gid = await gidOn('c', set)
        await world.node('c', `rollback prepared '${gid}'`)
        await reconnect()
        expect(await shownAs(set, 'mixed')).to.deep.equal({ phase: 'incomplete', outcome: 'mixed' })
        expect(await outcomeOf(world, set)).to.equal('mixed')
        const states = await world.admin('select node, state from pglobalxact.branches($1) order by node', [set])
        expect(states).to.deep.equal([
            { node: 'b', state: 'committed' },
            { node: 'c', state: 'rolled back' }
        ])
        await world.sidecar!.waitForLog(new RegExp(`error set is mixed.*${set}`))
        // Not forgotten by a new sidecar either.
        await world.sidecar!.kill()
        await world.startSidecar()
        expect(await shownAs(set, 'mixed')).to.deep.equal({ phase: 'incomplete', outcome: 'mixed' })
        await acknowledged(set)
        expect(await outcomeOf(world, set)).to.equal('mixed')
        expect(await world.balances()).to.deep.equal({ a: ledger.before['a']! - 20, b: ledger.before['b']! + 10, c: ledger.before['c'] })
    })

    it('is reported as unknown when its node was restored to before its PREPARE', async () => {
        const ledger = await Ledger.open(world)
        const c = world.nodes.get('c')!
        const backup = join(c.home, 'backup')
        await c.stop()
        await c.copyTo(backup)
        await c.start()
        await until(
            'the sidecar has c again',
            async () =>
                (await world.admin("select from pglobalxact.nodes() where node = 'c' and reachable and fence = 'held'")).length === 1
        )
        const session = await openClient(world)
        const gate = await ClosedGate.close(world)
        const set = await beginTransfer(world, session, 'behind')
        const answer = sendCommit(session)
        await gate.reached()
        await c.stop('immediate')
        await c.restoreFrom(backup)
        await gate.open()
        expect(await answer).to.equal('committed')
        await c.start()
        await shownAs(set, 'unknown')
        const states = await world.admin('select node, state from pglobalxact.branches($1) order by node', [set])
        expect(states).to.deep.equal([
            { node: 'b', state: 'committed' },
            { node: 'c', state: 'unknown' }
        ])
        await acknowledged(set)
        expect(await world.balances()).to.deep.equal({ a: ledger.before['a']! - 20, b: ledger.before['b']! + 10, c: ledger.before['c'] })
    })
})
