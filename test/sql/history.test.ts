import { expect } from 'chai'
import { addRow } from '../sidecar/common'
import { startCluster, type Cluster } from '../support/cluster'
import { refused } from '../support/refused'
import { until } from '../support/wait'
import { PASSWORDS, World } from '../support/world'

interface Line extends Record<string, unknown> {
    readonly at: Date
    readonly set_id: string | null
    readonly node: string | null
    readonly what: string
    readonly who: string | null
    readonly detail: string
}

describe('history()', () => {
    let world: World
    let coordinator: Cluster

    before(async () => {
        coordinator = await startCluster({ name: 'history' })
        world = await World.create({ name: 'history', proxied: true, clusters: { a: coordinator } })
    })
    after(async () => {
        await world?.destroy()
        await coordinator?.destroy()
    })

    const history = (call = 'history()'): Promise<Line[]> => world.admin<Line>(`select * from pglobalxact.${call}`)
    const of = (id: string): Promise<Line[]> => history(`history('${id}')`)
    const brief = (lines: readonly Line[]): string[] => lines.map(({ what, node, who, detail }) => [what, node, who, detail].join('|'))
    /** Waits until the history has such a line: the sidecar writes with its housekeeping. */
    const shows = (what: string, node: string | null, detail: RegExp = /./): Promise<Line> =>
        until(`history shows "${what}"`, async () =>
            (await history()).find((line) => line.what === what && line.node === node && detail.test(line.detail))
        )
    const lastEvent = async (): Promise<number> =>
        (await world.sql<{ id: number }>('select coalesce(max(id), 0)::int as id from pglobalxact.event'))[0]!.id

    it('tells of a set from its beginning to its end, whoever asks by set id or gid', async () => {
        const app = await world.connect()
        const id = await addRow(world, app)
        await app.query('select pglobalxact.await()')
        const lines = await until('it is complete', async () => {
            const found = await of(id)
            return found.some((line) => line.what === 'complete') && found
        })
        expect(lines.map((line) => line.what)).to.deep.equal(['begun', 'complete'])
        expect(lines[0]).to.include({ set_id: id, node: null, who: 'app' })
        expect(lines[0]!.detail).to.match(/^test, from 127\.0\.0\.1, pid \d+, committed: time not kept \(track_commit_timestamp is off\)$/)
        expect(lines[1]!.detail).to.equal('committed')
        const { id: own } = (await world.sql<{ id: string }>('select id from pglobalxact.coordinator'))[0]!
        expect(await of(`pgx_${own}_${id}_1`)).to.deep.equal(lines)
        expect((await history()).filter((line) => line.set_id === id)).to.deep.equal(lines)
    })

    it('has the time of the decision where the server keeps it', async () => {
        await world.sidecar!.stop()
        await coordinator.configure({ track_commit_timestamp: true })
        await world.startSidecar()
        const id = await addRow(world, await world.connect())
        await until('it is complete', async () => (await of(id)).length === 3)
        expect((await of(id)).map(({ what, detail }) => `${what}: ${detail}`)[1]).to.equal(
            'committed: by its local commit: this is the decision'
        )
    })

    it('tells who forced what, why, and what came of it', async () => {
        const app = await world.connect()
        const b = world.proxies.get('b')!
        const cut = b.onClientData('COMMIT PREPARED', 'before', () => void b.cut())
        const id = await addRow(world, app)
        await cut
        await shows('node unreachable', 'b')
        await world.admin(
            "select * from pglobalxact.force_rollback($1, 'b', 'host burnt down, ticket 4711', accept_mixed => true, confirm => 'yes')",
            [id]
        )
        await b.restore()
        await shows('node is back', 'b', /^away since /)
        await until('b has rolled it back', async () => (await world.prepared()).length === 0)
        await world.admin('select pglobalxact.acknowledge($1, $2)', [id, 'booked by hand'])
        await shows('rolled back by recovery', 'b', /^forced by dba: host burnt down, ticket 4711$/)
        const lines = brief(await of(id))
        for (const line of [
            'asked: force_rollback|b|dba|host burnt down, ticket 4711; done',
            'forced rollback|b|dba|host burnt down, ticket 4711',
            'committed|c||',
            'asked: acknowledge||dba|booked by hand; done',
            'acknowledged||dba|booked by hand'
        ])
            expect(lines).to.include(line)
        expect(lines.find((line) => line.startsWith('mixed|'))).to.be.a('string')
        await refused(world.admin("select pglobalxact.retry('1_00000000')"), { code: '42704', message: /./ })
        expect((await shows('asked: retry', null)).detail).to.match(/^set "1_00000000" is not known/)
    })

    it('tells of attempts that failed, once for an error, and how they healed', async () => {
        await world.withdraw('b')
        const id = await addRow(world, await world.connect())
        await until(
            'it was tried again and again',
            async () =>
                ((await world.sql<{ attempts: number }>('select attempts from pglobalxact.sets() where set_id = $1', [id]))[0]?.attempts ??
                    0) >= 3
        )
        await world.node('b', 'grant node_app to node_sidecar')
        await world.settled()
        await until('it healed', async () => (await of(id)).some((line) => line.what === 'healed'))
        const tries = (await of(id)).filter((line) => ['attempt failed', 'healed'].includes(line.what))
        expect(tries.map(({ what, node }) => [what, node])).to.deep.equal([
            ['attempt failed', 'b'],
            ['healed', 'b']
        ])
        expect(tries[0]!.detail).to.match(/^permission denied.*\(42501\)$/)
        expect(tries[1]!.detail).to.match(/^committed after \d+ failed attempts$/)
    })

    it('tells of every branch that recovery rolled back, many at once', async () => {
        const app = await world.connect()
        const node = await world.nodes.get('c')!.connect({ database: world.database, user: 'node_app', password: PASSWORDS.node_app })
        await world.sidecar!.stop()
        const ids: string[] = []
        for (let i = 0; i < 60; i++) {
            await app.query('begin')
            const { rows } = await app.query<{ gid: string; id: string }>(
                "select pglobalxact.enlist('c') as gid, pglobalxact.set_id() as id"
            )
            await node.query(`begin; insert into account values (${5000 + i}, 0); prepare transaction '${rows[0]!.gid}'`)
            await app.query('rollback')
            ids.push(rows[0]!.id)
        }
        await node.end()
        await world.startSidecar()
        await until('all are told of', async () => {
            const told = (await history()).filter((line) => line.what === 'rolled back by recovery' && line.node === 'c')
            return told.length === 60 && told
        })
        const one = await of(ids[30]!)
        expect(brief(one)).to.deep.equal(['rolled back by recovery|c|pglobalxact|its local transaction did not commit'])
    })

    it('tells of a session that was ended on a node, as its local transaction was over', async () => {
        const app = await world.connect()
        await app.query("begin; select pglobalxact.exec('b', 'update account set balance = balance'); rollback")
        expect((await shows('ended a session', 'b')).detail).to.match(/^pid \d+: its local transaction is over$/)
    })

    it('tells of nodes and homes that came and went, and by whose order', async () => {
        await world.createServer('e', world.nodes.get('c')!, 'postgres')
        await world.admin("select * from pglobalxact.add_node('e')")
        await world.admin("select pglobalxact.remove_node('e')")
        await world.admin("select pglobalxact.allow_home('0123456789abcdef', 'standby of the pair')")
        const lines = brief(await history())
        expect(lines).to.include('node added|e|dba|').and.include('node removed|e|dba|').and.include('asked: add_node|e|dba|done')
        expect(lines).to.include('home allowed||dba|home 0123456789abcdef: standby of the pair')
    })

    it('tells of the sidecar: started, acting, stopped', async () => {
        const before = await lastEvent()
        await world.sidecar!.stop()
        await world.startSidecar()
        const kinds = await until('it is told', async () => {
            const rows = await world.sql<{ kind: string }>(
                "select kind from pglobalxact.event where id > $1 and kind like 'sidecar %' order by id",
                [before]
            )
            return rows.length === 3 && rows.map(({ kind }) => kind)
        })
        expect(kinds).to.deep.equal(['sidecar stopped', 'sidecar started', 'sidecar acting'])
    })

    it('knows also what happened while the coordinator was away, and when', async () => {
        await coordinator.stop('fast')
        const away = new Date()
        await world.proxies.get('c')!.cut()
        await world.sidecar!.waitForLog(/node cannot be reached.*node=c/)
        const noticed = new Date()
        await coordinator.start()
        const line = await until('it is told', async () =>
            (await history()).find(
                ({ what, node, at }) =>
                    what === 'node unreachable' && node === 'c' && at.getTime() >= Math.floor(away.getTime() / 1000) * 1000 - 1000
            )
        )
        expect(line.at.getTime()).to.be.at.most(noticed.getTime() + 1000)
        await shows('coordinator lost', null)
        await world.proxies.get('c')!.restore()
        await shows('node is back', 'c')
    })

    it('shows the newest lines it is asked for, the newest last, and of the time it is asked for', async () => {
        const all = await history('history(max_rows => 1000)')
        const at = all.map((line) => line.at.getTime())
        expect(at).to.deep.equal([...at].sort((one, two) => one - two))
        expect(all.length).to.be.greaterThan(50)
        const five = await history('history(max_rows => 5)')
        expect(five).to.deep.equal(all.slice(-5))
        await world.sql("update pglobalxact.event set at = at - interval '2 days' where kind = 'home allowed'")
        expect((await history('history(max_rows => 1000)')).some((line) => line.what === 'home allowed')).to.equal(false)
        expect((await history("history(since => '3 days', max_rows => 1000)"))[0]!.what).to.equal('home allowed')
        await refused(history('history(max_rows => -1)'), { code: '22023', message: /negative/ })
        await refused(history("history('xa_4711')"), { code: '22023', message: /is not a set id/ })
    })

    it('is forgotten after the retention time, but for sets that are still on the books', async () => {
        const app = await world.connect()
        const b = world.proxies.get('b')!
        const cut = b.onClientData('COMMIT PREPARED', 'before', () => void b.cut())
        const id = await addRow(world, app)
        await cut
        await until(
            'b is known to be away',
            async () => (await world.sql("select from pglobalxact.nodes() where node = 'b' and not reachable")).length === 1
        )
        await world.admin("select * from pglobalxact.force_rollback($1, 'b', 'x', accept_mixed => true, confirm => 'yes')", [id])
        await b.restore()
        await until('b has rolled it back', async () => (await world.prepared()).length === 0)
        await world.sidecar!.stop()
        await world.sql("update pglobalxact.event set at = at - interval '8 days'")
        await world.sql("insert into pglobalxact.peer values ('ffffffff', 'x/y', null, now() - interval '8 days')")
        await world.sql('select pglobalxact._purge()')
        const left = await world.sql<{ set_id: string }>('select distinct set_id from pglobalxact.event')
        expect(left).to.deep.equal([{ set_id: id }])
        expect(await world.sql('select from pglobalxact.peer')).to.have.lengthOf(0)
        await world.startSidecar()
        await world.admin('select pglobalxact.acknowledge($1, $2)', [id, 'seen'])
    })
})
