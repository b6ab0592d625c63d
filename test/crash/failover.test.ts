/** A server is lost for good, and its standby takes over: the coordinator's, or a node's. */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Cluster } from '../support/cluster'
import { startSidecar } from '../support/process'
import { until } from '../support/wait'
import { workDir } from '../support/workdir'
import type { World } from '../support/world'
import { ClosedGate, installGate } from './support/gate'
import { createGround, destroyGround } from './support/ground'
import { Ledger, outcomeOf } from './support/ledger'
import { beginTransfer, openClient, sendCommit } from './support/session'
import { addStandby, failOver, inStep, synchronous } from './support/standby'

const TIMES = ['--scan-interval', '200', '--retry-cap', '500', '--node-timeout', '3000'] as const

describe('a failover of the coordinator', () => {
    let world: World
    let old: Cluster
    let standby: Cluster

    beforeEach(async () => {
        world = await createGround({ name: 'failover' })
        await installGate(world)
        old = world.coordinator
        standby = await addStandby(old, 'a2')
        await until(
            'the sidecar acts again',
            async () => (await world.admin("select from pglobalxact.status() where sidecar = 'acting'")).length > 0
        )
    })
    afterEach(async () => {
        world.coordinator = standby
        await destroyGround(world, old)
        await standby.destroy()
    })

    /** A second host's sidecar, beside the standby, with an empty state directory. */
    async function secondSidecar(): Promise<string> {
        const stateDir = mkdtempSync(join(workDir(), 'st-'))
        const url = standby.url({ database: world.database, user: 'pglobalxact', password: new URL(world.sidecarUrl).password })
        const sidecar = startSidecar({ stateDir, databaseUrl: url, args: TIMES })
        const line = await sidecar.waitForLog(/state directory read/)
        await sidecar.waitForLog(/standby/)
        first = world.sidecar
        world.sidecar = sidecar
        Object.assign(world, { stateDir })
        return / home=([0-9a-f]{16})/.exec(line)![1]!
    }
    let first: World['sidecar']

    async function takeOver(): Promise<void> {
        await first!.kill()
        await failOver(old, standby)
        await atNewPort()
    }

    /** The sidecar looks first: which xids the new time line handed out is known from its first look on. */
    async function atNewPort(): Promise<void> {
        world.coordinator = standby
        await world.sidecar!.waitForLog(/ acting /)
        await world.sql(`alter server pglobalxact_loopback options (set port '${standby.port}')`)
    }

    it('with synchronous replication loses nothing: what was committed is committed, what was not is rolled back, without a person', async () => {
        await synchronous(old)
        const home = await secondSidecar()
        await world.admin('select pglobalxact.allow_home($1, $2)', [home, 'standby of the pair'])
        const ledger = await Ledger.open(world)
        await first!.kill()
        const decided = await openClient(world)
        const committed = await beginTransfer(world, decided)
        expect(await sendCommit(decided)).to.equal('committed')
        const gate = await ClosedGate.close(world)
        const open = await openClient(world)
        await open.run('begin')
        await open.run("select pglobalxact.exec('b', 'insert into account values (77, 5)')")
        await open.run("insert into gate values ('behind')")
        const pending = sendCommit(open)
        await gate.reached()
        expect(await world.prepared()).to.have.lengthOf(3)
        // The WAL of what is open goes along with the next commit. Without it the new primary knows nothing of the set, and leaves it alone.
        await world.sql("select pg_logical_emit_message(true, 'test', '')")
        await takeOver()
        await gate.open()
        expect(await pending).to.be.instanceOf(Error)
        await ledger.closesAs('committed', committed)
        expect(await world.node('b', 'select from account where id = 77'), 'rolled back').to.have.lengthOf(0)
    })

    it('that lost a set the standby never heard of leaves its branches to a person, who decides', async () => {
        const home = await secondSidecar()
        await world.admin('select pglobalxact.allow_home($1, $2)', [home, 'standby of the pair'])
        await inStep(old)
        const ledger = await Ledger.open(world)
        await first!.kill()
        await standby.stop('fast') // what follows never reaches it
        const session = await openClient(world)
        const set = await beginTransfer(world, session)
        expect(await sendCommit(session), 'asynchronous replication waits for nobody').to.equal('committed')
        await old.kill()
        await standby.configure({ primary_conninfo: null })
        await standby.start()
        await takeOverFromDead()
        const rows = await until('the lost set is shown', async () => {
            const found = await world.admin<{ node: string; state: string; last_error: string }>(
                'select node, state, last_error from pglobalxact.branches() where set_id = $1 order by node',
                [set]
            )
            return found.length === 2 && found
        })
        expect(rows.map((row) => [row.node, row.state])).to.deep.equal([
            ['b', 'left alone'],
            ['c', 'left alone']
        ])
        expect(rows[0]!.last_error).to.match(/time line/)
        expect(await outcomeOf(world, set)).to.equal('unknown')
        const forced = await world.admin<{ result: string }>(
            "select result from pglobalxact.force_rollback($1, reason => 'lost in the failover', confirm => 'yes')",
            [set]
        )
        expect(forced.map((row) => row.result)).to.deep.equal(['rolled back', 'rolled back'])
        await ledger.closesAs('rolled back', undefined)
    })

    async function takeOverFromDead(): Promise<void> {
        await standby.query('select pg_promote()')
        await atNewPort()
    }
})

describe('a failover of a node', () => {
    let world: World
    let old: Cluster
    let standby: Cluster

    beforeEach(async () => {
        world = await createGround({ name: 'nodefail' })
        old = world.nodes.get('b')!
        standby = await addStandby(old, 'b2')
        await until(
            'the node is back',
            async () => (await world.admin("select from pglobalxact.nodes() where node = 'b' and reachable")).length > 0
        )
    })
    afterEach(async () => {
        world.nodes.set('b', standby)
        await destroyGround(world, old)
        await standby.destroy()
    })

    async function redirect(): Promise<void> {
        world.nodes.set('b', standby)
        await world.sql(`alter server b options (set port '${standby.port}')`)
    }

    it('with a decided branch prepared there: the branch is committed on the new primary', async () => {
        await synchronous(old)
        const ledger = await Ledger.open(world)
        await world.sidecar!.stop()
        await world.startSidecar(['--fault-point', 'after state line'])
        const session = await openClient(world)
        const set = await beginTransfer(world, session)
        expect(await sendCommit(session)).to.equal('committed')
        await world.sidecar!.waitForLog(/stopped at fault point/)
        await world.sidecar!.kill()
        await failOver(old, standby)
        await redirect()
        await world.startSidecar()
        await ledger.closesAs('committed', set)
    })

    it('that brings a finished branch back as prepared: it is committed again, not presumed aborted', async () => {
        const ledger = await Ledger.open(world)
        await world.sidecar!.stop()
        const session = await openClient(world)
        const set = await beginTransfer(world, session)
        expect(await sendCommit(session)).to.equal('committed')
        await inStep(old)
        await standby.stop('fast')
        await world.startSidecar()
        await world.settled()
        expect(await outcomeOf(world, set)).to.equal('committed')
        await old.kill()
        await standby.configure({ primary_conninfo: null })
        await standby.start()
        await standby.query('select pg_promote()')
        world.nodes.set('b', standby)
        expect((await world.prepared()).length, 'the standby never heard of COMMIT PREPARED').to.equal(1)
        await redirect()
        await until('the branch is committed again', async () => (await world.prepared()).length === 0)
        await ledger.closesAs('committed', set)
    })
})
