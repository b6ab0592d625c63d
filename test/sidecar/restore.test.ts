import { expect } from 'chai'
import { refused } from '../support/refused'
import { until } from '../support/wait'
import { Ground } from './restore/ground'

const STATES = ({ server, state }: { readonly server: string; readonly state: string }): string => `${server} ${state}`

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
        await world.withdraw('c')
        const late = await ground.enlisted('c', 72)
        await late.client.query('commit')
        await until(
            'the branch was refused there',
            async () => (await world.sql('select from pglobalxact.branches() where attempts > 0')).length > 0
        )
        await ground.archived()
        await world.sidecar!.stop()
        await Promise.all(Object.values(servers).map((server) => server.restoreTo('all')))

        const stale = world.launchSidecar()
        await stale.waitForLog(/was restored to restore point "all".*new, empty directory/)
        expect(await world.prepared()).to.deep.equal([undecided.gid])
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

    it('settles what the decision rule leaves open: a branch of which the coordinator has lost the xid, if it was prepared at the point', async function () {
        this.timeout(120_000)
        const { world, servers } = ground
        await ground.permit()
        await ground.backUp()
        // As if by a session that got its xid in the instant in which the restore points were written: nothing of it is in the coordinator's WAL.
        await world.withdraw('b')
        const gidOf = async (more: number): Promise<string> =>
            (
                await world.sql<{ gid: string }>(
                    "select format('pgx_%s_%s_%s_%s', c.id, x.xid, pglobalxact._nonce(c.id, x.xid, pg_postmaster_start_time()), n.number) as gid " +
                        'from pglobalxact.coordinator c, pglobalxact.node n, (select (pg_snapshot_xmax(pg_current_snapshot())::text::bigint + $1)::text::xid8 as xid) x ' +
                        "where n.name = 'b'",
                    [more]
                )
            )[0]!.gid
        const [lost, later] = [await gidOf(1_000_000), await gidOf(1_000_001)]
        await ground.prepare('b', lost, 81)
        const manifest = await ground.point('lost')
        await ground.archived()
        await world.sidecar!.stop()
        await Promise.all(Object.values(servers).map((server) => server.restoreTo('lost')))
        await world.node('b', 'grant node_app to node_sidecar')
        await ground.prepare('b', later, 82)
        await ground.adopt()
        await until(
            'both are left alone',
            async () => (await world.sql("select from pglobalxact.branches() where state = 'left alone'")).length === 2
        )
        const rows = await ground.reconcile(manifest)
        const about = (gid: string): unknown =>
            rows.filter(({ set_id }) => gid.includes(String(set_id))).map(({ server, state }) => [server, state])
        expect([about(lost), about(later)]).to.deep.equal([[['b', 'rolled back']], [['b', 'left alone']]])
        expect(await world.prepared()).to.deep.equal([later])
        await world.admin(
            'select * from pglobalxact.force_rollback($1, reason => $2, confirm => confirm) from pglobalxact.force_rollback($1, reason => $2)',
            [later, 'test']
        )
        await world.settled()
    })

    it('tells, of one node that was restored alone, which sets are gone there', async function () {
        this.timeout(120_000)
        const { world, servers } = ground
        await ground.permit()
        await ground.backUp()
        const before = await ground.commit()
        const prepared = await ground.enlisted('c', 91)
        const manifest = await ground.point('one')
        await prepared.client.query('commit')
        await ground.gone(prepared.gid)
        const after = [await ground.commit(), await ground.commit()]
        await ground.archived()
        await servers.c.restoreTo('one')
        await until(
            'the node is back',
            async () => (await world.sql("select from pglobalxact.nodes() where node = 'c' and reachable")).length > 0
        )
        const rows = await ground.reconcile(manifest)
        expect(rows.filter(({ set_id }) => set_id === null).map(STATES)).to.deep.equal([
            '(coordinator) not restored',
            'b not restored',
            'c restored'
        ])
        expect(rows.filter(({ set_id }) => set_id !== null).map(({ server, set_id, state }) => [server, set_id, state])).to.deep.equal(
            after.map((set) => ['c', set, 'mixed'])
        )
        expect(await ground.marks()).to.deep.equal([])
        for (const set of after) expect(await ground.outcome(set)).to.equal('mixed')
        // It was prepared at the point, and is committed again.
        for (const set of [before, prepared.set]) expect(await ground.outcome(set)).to.equal('committed')
        expect(await ground.rowsOf('c')).to.deep.equal([91])
        for (const set of after) await world.admin('select pglobalxact.acknowledge($1, $2)', [set, 'test'])
        await world.settled()
    })

    it('tells, of a coordinator that was restored alone, what its last state had committed on the nodes', async function () {
        this.timeout(120_000)
        const { world, servers } = ground
        await ground.permit()
        await ground.backUp()
        const before = await ground.commit()
        const manifest = await ground.point('alone')
        const after = await ground.commit()
        // A copy of its last state would be asked; here it still is the coordinator.
        const committed = await world.admin('select * from pglobalxact.committed_after($1)', [JSON.stringify(manifest)])
        expect(committed.map((row) => [row['set_id'], row['node']])).to.deep.equal([
            [after, 'b'],
            [after, 'c']
        ])
        await ground.archived()
        await world.sidecar!.stop()
        await servers.a.restoreTo('alone')
        await ground.adopt()
        const rows = await ground.reconcile(manifest, committed)
        expect(rows.filter(({ set_id }) => set_id === null).map(STATES)).to.deep.equal([
            '(coordinator) restored',
            'b not restored',
            'c not restored'
        ])
        expect(rows.filter(({ set_id }) => set_id !== null).map(({ server, set_id, state }) => [server, set_id, state])).to.deep.equal([
            ['b', after, 'mixed'],
            ['c', after, 'mixed']
        ])
        expect(await world.sql("select set_id from pglobalxact.event where kind = 'contradiction'")).to.deep.equal([{ set_id: after }])
        expect(await ground.outcome(before)).to.equal('committed')
        await world.settled()
    })
})
