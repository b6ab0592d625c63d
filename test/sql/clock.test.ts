import { expect } from 'chai'
import type { Client } from 'pg'
import { addRow } from '../sidecar/common'
import { refused, value } from '../support/refused'
import { World } from '../support/world'

const SEED = Number(process.env['PGLOBALXACT_FUZZ_SEED'] ?? Date.now() % 1_000_000_007)
const SESSIONS = 2 // of each coordinator
const EACH = 5
const MILLISECONDS = 1000

/** How far the clocks of the test's servers are off, in ms: those of the two coordinators, and of the two nodes that they share. */
const SKEW = { one: 250, other: -250, b: 125, c: -125 } as const

interface Run {
    readonly by: string
    readonly id: string
    /** What it left in the counter of each node that it visited. */
    readonly left: Readonly<Record<string, number>>
    readonly stamp: number
}

describe(`the clock of sets (PGLOBALXACT_FUZZ_SEED=${SEED})`, () => {
    let one: World
    let other: World
    let state = SEED >>> 0

    const roll = (): number => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0
        return state / 2 ** 32
    }

    before(async () => {
        one = await World.create({ name: 'clock' })
        other = await World.create({ name: 'clock_too', nodes: [] })
        for (const [name, cluster] of one.nodes) {
            await other.createServer(name, cluster, one.database)
            await other.admin(`select * from pglobalxact.add_node('${name}')`)
            await one.node(
                name,
                'create table counter (n integer not null); insert into counter values (0); grant all on counter to node_app'
            )
        }
    })
    after(async () => {
        // The nodes' databases are the first one's.
        await other?.destroy()
        await one?.destroy()
    })

    /** Other clocks than the machine's, which all servers here share. */
    async function skew(world: World, own: number, far = 0): Promise<void> {
        const nodes = [...one.nodes.keys()] as ('b' | 'c')[]
        const cases = nodes.map(
            (name) => `when (select n.number from pglobalxact.node n where n.name = '${name}') then ${(SKEW[name] + far) * MILLISECONDS}`
        )
        await world.sql(
            `create or replace function pglobalxact._clock_skew(node integer) returns bigint language sql stable as $$ select case node ${cases.join(' ')} else ${own * MILLISECONDS} end::bigint $$`
        )
    }

    const stampOf = async (client: Client, id: string): Promise<number> =>
        Number(await value(client, 'select extract(epoch from pglobalxact.set_clock($1)) * 1000000', [id]))

    /** A set that adds to the counter of one node or both: it waits for those before it. */
    async function run(by: string, client: Client): Promise<Run> {
        const left: Record<string, number> = {}
        const first = roll()
        const nodes = first < 0.35 ? ['b'] : first < 0.7 ? ['c'] : ['b', 'c']
        await client.query('begin')
        for (const node of nodes) {
            await client.query('select pglobalxact.exec($1, $2)', [node, 'update counter set n = n + 1'])
            left[node] = Number(
                await value(client, "select n from pglobalxact.query($1, 'select n from counter') as t (n integer)", [node])
            )
        }
        const id = String(await value(client, 'select pglobalxact.set_id()'))
        await client.query('commit')
        return { by, id, left, stamp: await stampOf(client, id) }
    }

    it('costs nothing until it is kept', async () => {
        const app = await one.connect()
        const id = await addRow(one, app)
        expect(await value(app, 'select pglobalxact.set_clock($1)', [id])).to.equal(null)
        expect(
            await one.sql("select from pg_trigger where tgrelid = 'pglobalxact.branch_record'::regclass and not tgisinternal")
        ).to.deep.equal([])
        await refused(one.admin("select pglobalxact.keep_clock('0')"), { code: '22023', message: /above 0/ })
        expect(await one.admin('select pglobalxact.stop_clock() as was')).to.deep.equal([{ was: false }])
    })

    it('orders sets of two coordinators as they met on nodes, though every server has another time', async () => {
        for (const [world, own] of [
            [one, SKEW.one],
            [other, SKEW.other]
        ] as const) {
            await skew(world, own)
            await world.admin('select pglobalxact.keep_clock()')
        }
        const clients: (readonly [by: string, client: Client])[] = []
        for (let i = 0; i < SESSIONS; i++) clients.push(['one', await one.connect()], ['other', await other.connect()])
        const all = await Promise.all(
            clients.map(async ([by, client]) => {
                const runs: Run[] = []
                for (let i = 0; i < EACH; i++) runs.push(await run(by, client))
                return runs
            })
        )
        const runs = all.flat()
        expect(runs.every(({ stamp }) => stamp > 0)).to.equal(true)
        let handovers = 0
        for (const node of one.nodes.keys()) {
            const visits = runs.filter(({ left }) => left[node] !== undefined).sort((a, b) => a.left[node]! - b.left[node]!)
            expect(visits.length).to.be.greaterThan(SESSIONS)
            for (const [at, visit] of visits.entries()) {
                const before = visits[at - 1]
                if (before === undefined) continue
                if (before.by !== visit.by) handovers++
                expect(visit.stamp, `${node}: ${JSON.stringify([before, visit])}`).to.be.greaterThan(before.stamp)
            }
        }
        expect(handovers, 'sets of both took turns').to.be.greaterThan(0)
    })

    it('counts a branch that only read, and one that the program prepared', async () => {
        const [app, node] = [
            await one.connect(),
            await one.nodes.get('c')!.connect({ database: one.database, user: 'node_app', password: 'node-app-secret-6' })
        ]
        const counted = await run('one', await other.connect())
        await other.settled()
        await app.query('begin')
        for (const name of one.nodes.keys())
            await app.query('select * from pglobalxact.query($1, $2) as t (n integer)', [name, 'select n from counter'])
        const read = String(await value(app, 'select pglobalxact.set_id()'))
        await app.query('commit')
        expect(await stampOf(app, read)).to.be.greaterThan(counted.stamp)
        await app.query('begin')
        const gid = String(await value(app, "select pglobalxact.enlist('c')"))
        const enlisted = String(await value(app, 'select pglobalxact.set_id()'))
        await node.query(`begin; update counter set n = n + 1; prepare transaction '${gid}'`)
        await node.end()
        await app.query('commit')
        expect(await stampOf(app, enlisted)).to.be.greaterThan(await stampOf(app, read))
    })

    it('is given also where SET CONSTRAINTS prepares the set', async () => {
        const app = await one.connect()
        await app.query('begin')
        for (const name of one.nodes.keys()) await app.query('select pglobalxact.exec($1, $2)', [name, 'update counter set n = n + 1'])
        const id = String(await value(app, 'select pglobalxact.set_id()'))
        await app.query('set constraints all immediate; commit')
        expect(await stampOf(app, id)).to.be.greaterThan(0)
        expect(await one.sql('select branches from pglobalxact.set_stamp where xid = $1', [id.split('_')[0]])).to.deep.equal([
            { branches: 2 }
        ])
    })

    it('is later than a time that the program was told of, on servers that have nothing in common with those of that set', async () => {
        const [app, program] = [await one.connect(), await other.connect()]
        await app.query('begin')
        await app.query('select pglobalxact.exec($1, $2)', ['b', 'update counter set n = n + 1'])
        const id = String(await value(app, 'select pglobalxact.set_id()'))
        await app.query('commit')
        const told = String(await value(app, 'select pglobalxact.set_clock($1)::text', [id]))
        // All clocks of the second set are far behind those of the first.
        await other.admin("select pglobalxact.keep_clock('1 minute')")
        await skew(other, -3000, -3000)
        await program.query('begin')
        await program.query('savepoint s')
        await program.query("select pglobalxact.observe_clock(now() + interval '30 seconds')")
        await program.query('rollback to s')
        await program.query('select pglobalxact.observe_clock($1)', [told])
        await program.query("select pglobalxact.observe_clock(timestamptz 'epoch')")
        await program.query('select pglobalxact.exec($1, $2)', ['c', 'update counter set n = n + 1'])
        const later = String(await value(program, 'select pglobalxact.set_id()'))
        await program.query('commit')
        expect(await value(program, 'select pglobalxact.set_clock($1) > $2', [later, told])).to.equal(true)
        expect(await value(program, "select pglobalxact.set_clock($1) < $2::timestamptz + interval '30 seconds'", [later, told])).to.equal(
            true
        )
        // The next transaction was told of nothing.
        expect(await value(program, "select current_setting('pglobalxact.observed_clock', true)")).to.be.oneOf([null, ''])
        await other.admin("select pglobalxact.keep_clock('1 second')")
        await skew(other, SKEW.other)
        for (const at of ['null', "'infinity'"])
            await refused(program.query(`select pglobalxact.observe_clock(${at})`), { code: '22023', message: /time of a set is needed/ })
        await refused(program.query("select pglobalxact.observe_clock(now() + interval '1 minute')"), {
            code: '55000',
            message: /^that time is 00:00:\d\d.* ahead of this server's clock/,
            hint: /keep_clock/
        })
    })

    it('refuses a set whose servers are further apart than was allowed, and nothing of it is left', async () => {
        await one.settled()
        await skew(one, 0, 5000)
        const app = await one.connect()
        await app.query("begin; select pglobalxact.exec('b', 'update counter set n = -1')")
        await refused(app.query('commit'), {
            code: '55000',
            message: /^set rolled back: the clock of this server is 00:00:0\d\.\d+ behind another/,
            hint: /keep_clock/
        })
        await one.settled()
        expect(await one.node('b', 'select from counter where n = -1')).to.deep.equal([])
        await skew(one, 8000)
        await app.query("begin; select pglobalxact.exec('b', 'update counter set n = -1')")
        await refused(app.query('commit'), {
            code: '55000',
            message: /^set rolled back: the clock of node "b" is 00:00:0\d\.\d+ behind another/
        })
        await one.settled()
        await one.admin("select pglobalxact.keep_clock('1 hour')")
        await skew(one, SKEW.one)
        const id = await addRow(one, app)
        expect(await stampOf(app, id)).to.be.greaterThan(0)
    })

    it('stops when it is told to', async () => {
        expect(await one.admin('select pglobalxact.stop_clock() as was')).to.deep.equal([{ was: true }])
        const app = await one.connect()
        expect(await value(app, 'select pglobalxact.set_clock($1)', [await addRow(one, app)])).to.equal(null)
        await refused(app.query('select pglobalxact.observe_clock(now())'), { code: '55000', message: /^no clock is kept here/ })
        await one.settled()
        await other.admin('select pglobalxact.stop_clock()')
        await other.settled()
    })
})
