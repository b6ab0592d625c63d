/** drill(): a canary set runs into a fault on purpose, and nothing else notices. */
import { expect } from 'chai'
import { POINTS } from '../../sidecar/drillpoints'
import { refused } from '../support/refused'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow } from './common'

interface Row extends Record<string, unknown> {
    readonly place: string
    readonly expected: string
    readonly says: string
    readonly canary_rows: string | null
}

describe('drill', () => {
    let world: World

    before(async () => {
        world = await World.create({ name: 'drill', proxied: true })
        for (const node of ['b', 'c'])
            await world.node(node, 'create table canary (drill bigint primary key); alter table canary owner to node_sidecar')
    })
    after(() => world?.destroy())

    const drill = (point: string, node = 'b', more = ''): Promise<Row[]> =>
        world.admin<Row>(`select * from pglobalxact.drill($1, $2${more})`, [point, node])
    const last = async (): Promise<Record<string, unknown>> =>
        (
            await world.admin(`select asked_by, point, node, canary, set_id, expected, result, evidence from pglobalxact.drills() limit 1`)
        )[0]!
    const inCanaryTables = async (): Promise<number> =>
        (await Promise.all(['b', 'c'].map((node) => world.node(node, 'select from canary')))).flat().length
    const running = (): Promise<unknown[]> => world.sql(`select from pglobalxact.drills() where result = 'running'`)

    for (const [point, { expected }] of Object.entries(POINTS)) {
        it(`"${point}" ends as it has to on every node: ${expected}`, async () => {
            const rows = await drill(point, 'b', `, canary => 'public.canary'`)
            const there = expected === 'committed' ? '1' : '0'
            expect(rows.map(({ place, says, canary_rows }) => [place, says, canary_rows])).to.deep.equal([
                ['coordinator', expected, null],
                ['b', expected, there],
                ['c', expected, there]
            ])
            const found = await last()
            expect(found).to.include({ asked_by: 'dba', point, node: 'b', canary: 'public.canary', expected, result: 'passed' })
            const plural = expected === 'committed' ? '1 row' : '0 rows'
            expect(found['evidence']).to.equal(`b ${expected} (${plural}), c ${expected} (${plural}), coordinator ${expected}`)
            expect(await world.sql('select pglobalxact.outcome($1) as outcome', [found['set_id']])).to.deep.equal([{ outcome: expected }])
            expect(await inCanaryTables(), 'swept up').to.equal(0)
            expect(await world.prepared()).to.deep.equal([])
            const history = await world.admin<Record<string, string>>(
                `select node, who, detail from pglobalxact.history($1) where what = 'drill'`,
                [found['set_id']]
            )
            expect(history).to.have.lengthOf(1)
            expect(history[0]).to.include({ node: 'b', who: 'dba' })
            expect(history[0]!['detail']).to.match(new RegExp(`^${point}: ${expected} everywhere after \\d+\\.\\d{3} s$`))
        })
    }

    it('leaves no session behind', async () => {
        await until('all are gone', async () => {
            const here = await world.sql(`select application_name from pg_stat_activity where application_name like 'pglobalxact%drill%'`)
            const there = await world.node(
                'b',
                `select from pg_stat_activity where datname = current_database() and usename = 'node_sidecar' and xact_start is not null`
            )
            return here.length + there.length === 0
        })
    })

    it('needs no canary table, and names a table of public without its schema', async () => {
        const rows = await drill('session killed after prepares', 'c')
        expect(rows.map(({ place, says, canary_rows }) => [place, says, canary_rows])).to.deep.equal([
            ['coordinator', 'rolled back', null],
            ['b', 'rolled back', null],
            ['c', 'rolled back', null]
        ])
        expect((await drill('no fault', 'c', `, canary => 'canary'`)).map(({ canary_rows }) => canary_rows)).to.deep.equal([null, '1', '1'])
    })

    it('harms no other set: under load every one commits, and all rows are there', async () => {
        let over = false
        const load = Array.from({ length: 3 }, async () => {
            const client = await world.connect()
            const ids: string[] = []
            while (!over) ids.push(await addRow(world, client))
            return ids
        })
        try {
            for (const point of ['session killed between prepares', 'node session killed', 'sidecar late', 'finished by hand'])
                await drill(point, 'c', `, canary => 'public.canary'`)
        } finally {
            over = true
        }
        const ids = (await Promise.all(load)).flat()
        await world.settled()
        expect((await world.admin(`select from pglobalxact.drills() where result <> 'passed'`)).length).to.equal(0)
        const wrong = await world.sql(`select i from unnest($1::text[]) i where pglobalxact.outcome(i) <> 'committed'`, [ids])
        expect(wrong).to.deep.equal([])
        for (const { finding } of await world.admin('select finding from pglobalxact.verify()'))
            expect(finding).to.be.oneOf(['agrees', 'compared'])
    })

    it('fails, and says so, when a node does not come round in time', async () => {
        const proxy = world.proxies.get('b')!
        const cut = proxy.onClientData('COMMIT PREPARED', 'before', () => void proxy.cut())
        const dba = await world.connect('dba')
        const warnings: string[] = []
        dba.on('notice', ({ message }) => void warnings.push(message ?? ''))
        const { rows } = await dba.query<Row & { took: unknown }>(
            `select place, says, took from pglobalxact.drill('no fault', 'b', 'canary', '2 s')`
        )
        await cut
        await proxy.restore()
        expect(warnings).to.have.lengthOf(1)
        expect(warnings[0]).to.match(/^drill \d+ failed: not every place says what it has to$/)
        expect(rows.slice(0, 2).map(({ place, says, took }) => [place, says, took])).to.deep.equal([
            ['coordinator', 'committed, not complete', null],
            ['b', 'it does not answer', null]
        ])
        const found = await last()
        expect(found).to.include({ result: 'failed', expected: 'committed' })
        expect(await world.sql(`select detail from pglobalxact.event where kind = 'drill failed'`)).to.deep.equal([
            { detail: 'no fault: not committed everywhere: see pglobalxact.drills()' }
        ])
        await world.settled()
        expect(await world.sql('select pglobalxact.outcome($1) as outcome', [found['set_id']])).to.deep.equal([{ outcome: 'committed' }])
        expect(await inCanaryTables(), 'evidence is not swept up').to.equal(2)
    })

    /** A drill that lasts until `end`: its branch on b is decided, and b away. */
    async function lasting(): Promise<{ readonly answer: Promise<Row[]>; readonly end: () => Promise<void> }> {
        const proxy = world.proxies.get('b')!
        const cut = proxy.onClientData('COMMIT PREPARED', 'before', () => void proxy.cut())
        const answer = drill('no fault')
        answer.catch(() => undefined) // whoever wants it asks
        await cut
        return { answer, end: () => proxy.restore() }
    }

    it('that the sidecar does not survive leaves a set like any other, which is settled', async () => {
        const { answer, end } = await lasting()
        expect(await running()).to.have.lengthOf(1)
        await world.sidecar!.kill()
        await refused(answer, { code: '55000', message: /^the sidecar stopped before it answered/ })
        await end()
        await world.startSidecar()
        await world.nodesReached()
        await world.settled()
        const found = await last()
        expect(found).to.include({ point: 'no fault', result: 'broken off', evidence: null })
        expect(await world.sql('select pglobalxact.outcome($1) as outcome', [found['set_id']])).to.deep.equal([{ outcome: 'committed' }])
    })

    it('is one at a time', async () => {
        const { answer, end } = await lasting()
        await refused(drill('no fault', 'c'), { code: '55000', message: /^a drill is under way already$/, hint: /drills\(\)/ })
        expect((await world.admin<{ note: string }>('select note from pglobalxact.status()'))[0]!.note).to.equal(
            'acting; drill() at b: no fault'
        )
        await end()
        expect(await answer).to.have.lengthOf(3)
        expect(await last()).to.include({ result: 'passed' })
    })

    it('refuses what it does not know, a node that is away, and while sets are paused', async () => {
        const drills = async (): Promise<unknown> => (await world.sql('select count(*) from pglobalxact.drill'))[0]
        const before = await drills()
        await refused(drill('power cut'), {
            code: '22023',
            message: /^there is no point "power cut"$/,
            hint: /^The points are: no fault, session killed/
        })
        await refused(drill('no fault', 'nowhere'), { code: '42704', message: /^node "nowhere" does not exist$/ })
        await refused(drill('no fault', 'b', ', timeout => null'), { code: '22023', message: /^a timeout of at most an hour is needed$/ })
        await world.admin(`select pglobalxact.pause('x')`)
        await refused(drill('no fault'), { code: '55000', message: /^pglobalxact is paused/ })
        await world.admin('select pglobalxact.resume()')
        await world.proxies.get('b')!.cut()
        await until('it is away', async () => (await world.sql('select from pglobalxact.node_status where not reachable')).length === 1)
        await refused(drill('no fault'), { code: '55000', message: /^node "b" takes no part in sets now$/ })
        expect(
            (await drill('no fault', 'c')).map(({ place }) => place),
            'the others can be drilled'
        ).to.deep.equal(['coordinator', 'c'])
        await world.proxies.get('b')!.restore()
        await world.nodesReached()
        expect(await drills()).to.deep.equal({ count: String(Number((before as { count: string }).count) + 1) })
    })

    it('writes only to a table in which nobody else can have laid a trap', async () => {
        const refuse = (message: RegExp): Promise<unknown> =>
            refused(drill('no fault', 'b', `, canary => 'trap'`), {
                code: '22023',
                message,
                hint: /create table trap \(drill bigint primary key\); alter table trap owner to "?node_sidecar"?;$/
            })
        await refuse(/^there is no table "trap" on node "[bc]"$/)
        await world.node('c', 'create table trap (drill bigint primary key); alter table trap owner to node_sidecar')
        const unfit = /^not fit for canary rows: table "trap" on node "b"$/
        await world.node('b', 'create table trap (drill bigint primary key); alter table trap owner to node_app')
        await refuse(unfit)
        await world.node('b', 'alter table trap owner to node_sidecar; grant trigger on trap to node_app')
        await refuse(unfit)
        await world.node('b', 'revoke trigger on trap from node_app; create rule trap as on insert to trap do also select 1')
        await refuse(unfit)
        await world.node('b', 'drop rule trap on trap; alter table trap rename drill to other')
        await refuse(unfit)
        await world.node('b', 'alter table trap rename other to drill')
        await drill('no fault', 'b', `, canary => 'trap'`)
        await refused(drill('no fault', 'b', `, canary => 'trap; drop table account'`), { code: '42602|22023', message: /./ })
        expect(await world.node('b', 'select from account where id = 1')).to.have.lengthOf(1)
    })
})
