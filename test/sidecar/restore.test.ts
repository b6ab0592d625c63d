import { expect } from 'chai'
import { refused } from '../support/refused'
import { until } from '../support/wait'
import { commitRefusedAt } from './common'
import { Ground, STATES } from './restore/ground'
import { armHold, held, hold } from './restore/hold'
import { SnapshotLoad } from './snapshots/load'
import { waitingAtGate } from './snapshots/support'

describe('a restore point of many servers', () => {
    let ground: Ground
    beforeEach(async function () {
        this.timeout(120_000)
        ground = await Ground.create('restore')
    })
    afterEach(() => ground?.destroy())

    it('needs a right on each server, which is asked for by name before any commit is held', async () => {
        const { world } = ground
        const denied = async (who: string, where: RegExp): Promise<void> => {
            const before = await world.sql('select closed_at from pglobalxact.gate')
            await refused(ground.point('denied'), {
                code: '42501',
                message: where,
                hint: new RegExp(`grant execute on function pg_catalog.pg_create_restore_point\\(text\\) to ${who};`)
            })
            expect(await world.sql('select closed_at from pglobalxact.gate')).to.deep.equal(before)
        }
        await denied('pglobalxact', /on the coordinator$/)
        await world.sql('grant execute on function pg_create_restore_point(text) to pglobalxact')
        await denied('node_sidecar', /on node "b"$/)
        await ground.permit()
        const manifest = await ground.point('granted')
        expect(manifest.servers.map(({ node }) => node)).to.deep.equal(['(coordinator)', 'b', 'c'])
        expect(await ground.marks()).to.deep.equal([])
        await refused(ground.point('granted'), {
            code: '42710',
            message: /^there is, or was, a restore point "granted" already$/,
            hint: /restore_points/
        })
        await refused(ground.point('x'.repeat(64)), { code: '22023', message: /1 to 63 bytes/ })
        expect(await world.admin('select name, state, servers from pglobalxact.restore_points()')).to.deep.equal([
            { name: 'granted', state: 'complete', servers: '(coordinator), b, c' }
        ])
        expect(await ground.reconcile(manifest).then((rows) => rows.map(STATES))).to.deep.equal([
            '(coordinator) not restored',
            'b not restored',
            'c not restored'
        ])
        await refused(ground.reconcile({ ...manifest, coordinator: '00000000' }), { code: '22023', message: /coordinator 00000000/ })
        await refused(ground.reconcile({ ...manifest, id: '0000000000000000' }), { code: '55000', message: /never at restore point/ })
    })

    it('is where all servers are after a recovery: every set is on all of them or on none, and what was undecided is rolled back', async function () {
        this.timeout(120_000)
        const { world, servers } = ground
        await ground.permit()
        await ground.backUp()
        const before = [await ground.commit(), await ground.commit()]
        const undecided = await ground.enlisted('b', 71)
        const balances = await world.balances()
        const manifest = await ground.point('all')
        await undecided.client.query('commit')
        await ground.gone(undecided.gid)
        await ground.commit()
        // What the old state directory has on file: decided after the point, and unfinished.
        await commitRefusedAt(world, 'c', () => ground.committed('c', 72))
        await ground.archived()
        await world.sidecar!.stop()
        await Promise.all(Object.values(servers).map((server) => server.restoreTo('all')))

        const stale = world.launchSidecar()
        await stale.waitForLog(/was restored to restore point "all".*new, empty directory/)
        expect([await ground.marks(), await world.prepared()].map((gids) => gids.length)).to.deep.equal([2, 3])
        expect(await world.prepared()).to.include(undecided.gid)
        await stale.stop()
        await ground.adopt()
        expect((await world.admin('select name, state, manifest from pglobalxact.restore_points()'))[0]).to.deep.equal({
            name: 'all',
            state: 'restored to',
            manifest: null
        })
        const rows = await ground.reconcile(manifest)
        expect(rows.map(STATES)).to.deep.equal(['(coordinator) restored', 'b restored', 'c restored'])
        await world.settled()
        expect(await ground.marks()).to.deep.equal([])
        expect(await world.balances()).to.deep.equal(balances)
        expect([await ground.rowsOf('b'), await ground.rowsOf('c')]).to.deep.equal([[], []])
        for (const set of before) expect(await ground.outcome(set)).to.equal('committed')
        expect(await ground.outcome(undecided.set)).to.equal('rolled back')
        expect(
            await world.sql("select set_id, kind from pglobalxact.event where kind in ('mixed', 'unknown', 'contradiction')")
        ).to.deep.equal([])
        // And on from there.
        await world.sql('grant execute on function pg_create_restore_point(text) to pglobalxact')
        expect(await ground.outcome(await ground.commit())).to.equal('committed')
        expect((await ground.reconcile(manifest)).map(STATES)).to.deep.equal(['(coordinator) restored', 'b restored', 'c restored'])
        expect((await ground.point('afterwards')).servers).to.have.lengthOf(3)
    })

    it('has under full load every set on all servers or on none, after they were restored to it', async function () {
        this.timeout(120_000)
        const { world, servers } = ground
        await ground.permit()
        // A gate gives way before the server would look for a deadlock; on a busy machine a commit may take longer than that.
        await world.sql(`alter database "${world.database}" set deadlock_timeout = '20s'`)
        const load = await SnapshotLoad.start(world)
        await ground.backUp()
        const begun = load.committed
        await ground.point('first')
        // In the making for as long as it takes every session to come to a COMMIT: there they all stay.
        await armHold(world)
        const stop = await hold(world)
        const making = ground.point('busy')
        making.catch(() => undefined)
        try {
            await Promise.all([held(world), waitingAtGate(world, 6)])
        } finally {
            await stop.end()
        }
        const manifest = await making
        await until('sets commit again', () => load.committed > begun + 10)
        await load.end()
        await world.settled()
        await ground.archived()
        await world.sidecar!.stop()
        await Promise.all(Object.values(servers).map((server) => server.restoreTo('busy')))
        await ground.adopt()
        expect((await ground.reconcile(manifest)).filter(({ set_id }) => set_id === null).map(STATES)).to.deep.equal([
            '(coordinator) restored',
            'b restored',
            'c restored'
        ])
        await world.settled()
        const sums = await Promise.all([
            world.sql('select sum(n)::text as n from pot'),
            ...['b', 'c'].map((node) => world.node(node, 'select sum(n)::text as n from pot'))
        ])
        expect(sums.map((rows) => BigInt(String(rows[0]!['n']))).reduce((one, other) => one + other)).to.equal(load.total)
        expect(load.failures).to.deep.equal([])
        expect(await world.sql("select outcome from pglobalxact.commit_record where outcome is distinct from 'committed'")).to.deep.equal(
            []
        )
    })
})
