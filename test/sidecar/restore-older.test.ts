import { expect } from 'chai'
import { refused } from '../support/refused'
import { until } from '../support/wait'
import { Ground, STATES } from './restore/ground'

describe('restore points of which an older one is wanted after all', () => {
    let ground: Ground
    beforeEach(async function () {
        this.timeout(120_000)
        ground = await Ground.create('older')
    })
    afterEach(() => ground?.destroy())

    it('lead there after a recovery to a later one: of one node, whose sets are named, and of all servers', async function () {
        this.timeout(180_000)
        const { world, servers } = ground
        await ground.permit()
        await ground.backUp()
        const first = await ground.commit()
        const wanted = await world.balances()
        const older = await ground.point('older')
        const second = await ground.commit()
        const newer = await ground.point('newer')
        await ground.commit()
        await ground.archived()
        await world.sidecar!.stop()

        await Promise.all(Object.values(servers).map((server) => server.restoreTo('newer')))
        await ground.adopt()
        expect((await ground.reconcile(newer)).map(STATES)).to.deep.equal(['(coordinator) restored', 'b restored', 'c restored'])
        for (const set of [first, second]) expect(await ground.outcome(set)).to.equal('committed')
        // It went on from the older one, on another time line now, and so nothing is proved of the nodes.
        expect((await ground.reconcile(older)).map(STATES)).to.deep.equal(['(coordinator) not restored', 'b elsewhere', 'c elsewhere'])
        const third = await ground.commit()
        await ground.archived()

        await servers.c.restoreTo('older')
        const back =
            "select from pglobalxact.node_status s join pglobalxact.node n on n.number = s.node where n.name = 'c' and s.reachable and s.timeline = '00000003'"
        await until('the node is back, and seen through', async () => (await world.sql(back)).length > 0)
        const rows = await ground.reconcile(older)
        expect(rows.filter(({ set_id }) => set_id === null).map(STATES)).to.deep.equal([
            '(coordinator) not restored',
            'b elsewhere',
            'c restored'
        ])
        // Those of both time lines.
        expect(rows.filter(({ set_id }) => set_id !== null).map(({ server, set_id, state }) => [server, set_id, state])).to.deep.equal([
            ['c', second, 'mixed'],
            ['c', third, 'mixed']
        ])
        expect(await ground.marks()).to.deep.equal([])
        for (const set of [second, third]) await world.admin('select pglobalxact.acknowledge($1, $2)', [set, 'test'])
        await world.settled()
        await ground.archived()
        await world.sidecar!.stop()

        await Promise.all(Object.values(servers).map((server) => server.restoreTo('older')))
        await ground.adopt()
        expect((await ground.reconcile(older)).map(({ set_id, ...row }) => [STATES(row), set_id])).to.deep.equal([
            ['(coordinator) restored', null],
            ['b restored', null],
            ['c restored', null]
        ])
        await world.settled()
        expect(await ground.marks()).to.deep.equal([])
        expect(await world.balances()).to.deep.equal(wanted)
        expect(await ground.outcome(first)).to.equal('committed')
        for (const set of [second, third]) expect(await ground.outcome(set)).to.be.oneOf(['unknown', 'rolled back'])
        await refused(ground.reconcile(newer), { code: '55000', message: /^this database was never at restore point "newer"$/ })
        expect(await world.admin('select name, state from pglobalxact.restore_points()')).to.deep.equal([
            { name: 'older', state: 'restored to, reconciled' }
        ])
        expect(await ground.outcome(await ground.commit())).to.equal('committed')
    })
})
