import { expect } from 'chai'
import { startSidecar, type Sidecar } from '../support/process'
import { until } from '../support/wait'
import { commitRefusedAt, newStateDir } from './common'
import { Ground, STATES, TIMES } from './restore/ground'

describe('reconciling after a recovery to a restore point', () => {
    let ground: Ground
    beforeEach(async function () {
        this.timeout(120_000)
        ground = await Ground.create('reconcile')
    })
    afterEach(() => ground?.destroy())

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
        await world.node('b', `rollback prepared '${later}'`)
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
        const back =
            "select from pglobalxact.node_status s join pglobalxact.node n on n.number = s.node where n.name = 'c' and s.reachable and s.timeline = '00000002'"
        await until('the node is back, and seen through', async () => (await world.sql(back)).length > 0)
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
        // What could not be asked is asked at the next call.
        await servers.c.cluster.stop('immediate')
        expect((await ground.reconcile(manifest, committed)).map(({ server, state }) => [server, state])).to.deep.include(['c', 'away'])
        await servers.c.cluster.start()
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

    it('lets a sidecar whose home was allowed beforehand act, if its state directory was empty, and again when it is not', async function () {
        this.timeout(120_000)
        const { world, servers } = ground
        await ground.permit()
        await ground.backUp()
        const stateDir = newStateDir()
        const start = (): Sidecar => startSidecar({ stateDir, databaseUrl: world.sidecarUrl, args: TIMES })
        const beside = start()
        const [, home] = / home=([0-9a-f]{16})/.exec(await beside.waitForLog(/state directory read/))!
        await beside.waitForLog(/is not allowed to act/)
        await beside.stop()
        await world.admin("select pglobalxact.allow_home($1, 'beside')", [home])
        const manifest = await ground.point('allowed')
        await ground.archived()
        await world.sidecar!.stop()
        await servers.a.restoreTo('allowed')
        world.sidecar = start()
        await world.sidecar.waitForLog(/ acting /)
        await world.nodesReached()
        // It is killed with a set on file.
        const set = await commitRefusedAt(world, 'c', () => ground.committed('c', 61))
        await world.sidecar.kill()
        world.sidecar = start()
        await world.sidecar.waitForLog(/ acting /)
        await world.node('c', 'grant node_app to node_sidecar')
        await world.settled()
        expect(await ground.outcome(set)).to.equal('committed')
        expect((await ground.reconcile(manifest)).map(STATES)).to.deep.equal(['(coordinator) restored', 'b not restored', 'c not restored'])
    })
})
