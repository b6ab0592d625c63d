/** verify(): what the commit records say against what each node says, while sets go on. */
import { expect } from 'chai'
import type { Client } from 'pg'
import { refused } from '../support/refused'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow } from './common'

interface Row extends Record<string, unknown> {
    readonly finding: string
    readonly node: string | null
    readonly record_says: string | null
    readonly node_says: string | null
    readonly branches: string
    readonly sets: string
    readonly first_set: string | null
}

const nameOf = (row: Row): string => [row.finding, row.node, row.record_says, row.node_says].filter((part) => part !== null).join(' | ')

describe('verify', () => {
    let world: World
    let app: Client

    before(async () => {
        world = await World.create({ name: 'verify', proxied: true })
        app = await world.connect()
    })
    after(() => world?.destroy())

    const verify = (given = ''): Promise<Row[]> => world.admin<Row>(`select * from pglobalxact.verify(${given})`)
    /** Each finding with its number of branches. */
    const findings = async (given = ''): Promise<Record<string, number>> =>
        Object.fromEntries((await verify(given)).map((row) => [nameOf(row), Number(row.branches)]))
    /** Sets of this test alone. */
    async function fresh(): Promise<void> {
        await world.settled()
        await world.sql('truncate pglobalxact.commit_record, pglobalxact.branch_record')
    }
    const trouble = (): Promise<Record<string, unknown>[]> =>
        world.sql(`select set_id, kind, who, detail from pglobalxact.event where kind = 'disagreement' order by id`)

    it('with no set at all has nothing to compare', async () => {
        expect(await verify()).to.deep.equal([
            { finding: 'compared', node: null, record_says: null, node_says: null, branches: '0', sets: '0', first_set: null }
        ])
    })

    it('finds that every node says what the records say, in batches of any size', async () => {
        const ids: string[] = []
        for (let i = 0; i < 7; i++) ids.push(await addRow(world, app))
        await world.settled()
        for (const batch of [1, 3, 7, 500]) {
            const rows = await verify(`batch => ${batch}, pause => '0'`)
            expect(rows.map(nameOf)).to.deep.equal(['agrees | b | committed | committed', 'agrees | c | committed | committed', 'compared'])
            expect(rows.map(({ branches, sets }) => [branches, sets])).to.deep.equal([
                ['7', '7'],
                ['7', '7'],
                ['14', '7']
            ])
            expect(rows[0]!.first_set).to.equal(ids[0])
        }
    })

    it('leaves out what was complete before, and branches that wrote nothing', async () => {
        await fresh()
        await addRow(world, app)
        await world.settled()
        const [{ now }] = (await world.sql<{ now: string }>('select clock_timestamp()::text as now')) as [{ now: string }]
        await addRow(world, app, ['c'])
        await app.query('begin')
        await app.query(`select * from pglobalxact.query('b', 'select 1') as t (n int)`)
        await app.query('commit')
        await world.settled()
        expect(await findings(`since => '${now}'`)).to.deep.equal({ 'agrees | c | committed | committed': 1, compared: 1 })
        const [, last] = (await verify(`since => '${now}'`)) as [Row, Row]
        expect(last.sets).to.equal('2')
    })

    it('under load finds no disagreement, and none of the sets that were committed before is missing', async () => {
        await fresh()
        let over = false
        const load = Array.from({ length: 4 }, async () => {
            const client = await world.connect()
            let done = 0
            while (!over) {
                await addRow(world, client)
                done += 1
            }
            return done
        })
        try {
            for (let round = 0; round < 8; round++) {
                const [before] = await world.sql<{ n: string }>('select count(*) as n from pglobalxact.commit_record')
                const rows = await verify(`batch => 20, pause => '1 ms'`)
                for (const row of rows) expect(row.finding, nameOf(row)).to.be.oneOf(['agrees', 'waits', 'compared'])
                expect(Number(rows.at(-1)!.sets)).to.be.at.least(Number(before!.n))
            }
        } finally {
            over = true
        }
        const done = (await Promise.all(load)).reduce((sum, one) => sum + one)
        await world.settled()
        expect(await findings()).to.deep.equal({
            'agrees | b | committed | committed': done,
            'agrees | c | committed | committed': done,
            compared: 2 * done
        })
        expect(await trouble()).to.deep.equal([])
    })

    it('tells of a branch that was rolled back by hand, and whose record says committed', async () => {
        await fresh()
        await addRow(world, app)
        await world.settled()
        await world.sidecar!.stop()
        const set = await addRow(world, app)
        const [gid] = await world.node<{ gid: string }>('b', 'select gid from pg_prepared_xacts where database = current_database()')
        await world.node('b', `rollback prepared '${gid!.gid}'`)
        const [other] = await world.node<{ gid: string }>('c', 'select gid from pg_prepared_xacts where database = current_database()')
        await world.node('c', `commit prepared '${other!.gid}'`)
        // Somebody makes the set go away.
        await world.sql(`update pglobalxact.commit_record set complete_at = now(), outcome = 'committed' where complete_at is null`)
        // The state files would tell the sidecar otherwise, had it ever seen the set.
        await world.startSidecar()
        await world.nodesReached()
        const rows = await verify()
        expect(nameOf(rows[0]!)).to.equal('disagrees | b | committed | rolled back')
        expect(rows[0]).to.include({ branches: '1', first_set: set })
        expect(rows.slice(1).map((row) => [nameOf(row), row.branches])).to.deep.equal([
            ['agrees | b | committed | committed', '1'],
            ['agrees | c | committed | committed', '2'],
            ['compared', '4']
        ])
        const told = { set_id: set, kind: 'disagreement', who: 'dba', detail: 'the record says committed, the node says rolled back' }
        expect(await trouble()).to.deep.equal([told])
        await verify()
        expect(await trouble(), 'said once').to.deep.equal([told])
        const [audit] = await world.admin(
            'select state, sets, branches, disagree, not_proved, first_disagreement from pglobalxact.audits()'
        )
        expect(audit).to.deep.equal({
            state: 'finished',
            sets: '2',
            branches: '4',
            disagree: '1',
            not_proved: '0',
            first_disagreement: `set ${set} on b: the record says committed, the node says rolled back`
        })
        const history = await world.admin(`select node, what, detail from pglobalxact.history($1) where what = 'disagreement'`, [set])
        expect(history).to.deep.equal([{ node: 'b', what: 'disagreement', detail: told.detail }])
        const told_all = await world.sql(`select who, detail from pglobalxact.event where kind = 'verified' order by id desc limit 1`)
        expect(told_all).to.deep.equal([{ who: 'dba', detail: '4 branches of 2 sets: 1 disagree, 0 not proved' }])
    })

    it('tells of a branch that the node committed against its record', async () => {
        await fresh()
        const set = await addRow(world, app, ['c'])
        await world.settled()
        await world.sql(`update pglobalxact.branch_record set fate = 'rolled back'`)
        await world.sql(`update pglobalxact.commit_record set outcome = 'mixed', acknowledged_at = now()`)
        expect(await findings()).to.deep.equal({ 'disagrees | c | rolled back | committed': 1, compared: 1 })
        expect((await trouble()).at(-1)).to.include({ set_id: set, detail: 'the record says rolled back, the node says committed' })
    })

    it('tells of an xid that the node does not know: it went back to before the branch', async () => {
        await fresh()
        await addRow(world, app, ['c'])
        await world.settled()
        await world.sql(`update pglobalxact.branch_record set branch_xid = '4000000000'`)
        expect(await findings()).to.deep.equal({ 'disagrees | c | committed | nothing of it': 1, compared: 1 })
    })

    it('never guesses: what cannot be proved is counted as that, with the reason', async () => {
        await fresh()
        await addRow(world, app)
        await world.settled()
        await world.sql(`update pglobalxact.branch_record set timeline = '0000000A'`)
        const elsewhere = 'committed | on another time line: cannot tell'
        expect(await findings()).to.deep.equal({ [`not proved | b | ${elsewhere}`]: 1, [`not proved | c | ${elsewhere}`]: 1, compared: 2 })
        await world.sql(`update pglobalxact.branch_record set branch_xid = null where node = 1`)
        await world.sql(`update pglobalxact.branch_record set node = 77 where node = 2`)
        expect(await findings()).to.deep.equal({
            'not proved | b | committed | its xid was not recorded': 1,
            'not proved | node 77 | committed | it is no node any more': 1,
            compared: 2
        })
        expect(await world.sql(`select disagree, not_proved from pglobalxact.audits() limit 1`)).to.deep.equal([
            { disagree: '0', not_proved: '2' }
        ])
    })

    it('says nothing before record and node have disagreed twice: somebody may have come between', async () => {
        await fresh()
        await addRow(world, app)
        await world.settled()
        const before = (await trouble()).length
        const wrong = `update pglobalxact.branch_record set fate = 'rolled back' where node = 1`
        await world.sql(wrong)
        const proxy = world.proxies.get('b')!
        // The record has been read when the node is asked; before it can answer, the record is put right.
        const asked = proxy.onClientData('What became of branches here', 'before', () => proxy.blackhole())
        const found = findings()
        await asked
        await world.sql('update pglobalxact.branch_record set fate = null')
        await proxy.restore()
        expect(await found).to.deep.equal({ 'agrees | b | committed | committed': 1, 'agrees | c | committed | committed': 1, compared: 2 })
        expect(await trouble()).to.have.lengthOf(before)
        await world.sql(wrong)
        expect(await findings(), 'as it would have been').to.include({ 'disagrees | b | rolled back | committed': 1 })
    })

    it('compares what was there when it began, and nothing that came later', async () => {
        await fresh()
        for (let i = 0; i < 3; i++) await addRow(world, app)
        await world.settled()
        const found = verify(`batch => 1, pause => '0.7 s'`)
        await until(
            'it is under way',
            async () => (await world.admin(`select from pglobalxact.audits() where state = 'running'`)).length === 1
        )
        for (let i = 0; i < 3; i++) await addRow(world, app)
        expect((await found).at(-1)).to.include({ sets: '3', branches: '6' })
        await world.settled()
        expect((await verify()).at(-1)).to.include({ sets: '6', branches: '12' })
    })

    it('does not wait for a node that is away, and compares the others', async () => {
        await fresh()
        await addRow(world, app)
        await world.settled()
        await world.proxies.get('b')!.cut()
        try {
            await until(
                'the sidecar knows',
                async () => (await world.sql('select from pglobalxact.node_status where not reachable')).length === 1
            )
            const away = { 'not proved | b | committed | it does not answer': 1, 'agrees | c | committed | committed': 1, compared: 2 }
            expect(await findings()).to.deep.equal(away)
        } finally {
            await world.proxies.get('b')!.restore()
        }
        await world.nodesReached()
        expect(await findings()).to.include({ 'agrees | b | committed | committed': 1 })
    })

    it('sees a decided set that a node has not been told of yet, and does not call it wrong', async () => {
        await fresh()
        await world.withdraw('b')
        try {
            await world.nodesReached()
            await addRow(world, app)
            await until('c has committed', async () => (await world.prepared()).length === 1)
            // Its sessions there were ended: until the sidecar is back, b cannot be asked.
            const rows = await until('b is asked', async () => {
                const found = await verify()
                for (const { finding } of found) expect(finding).to.not.equal('disagrees')
                return found[0]!.finding === 'waits' && found
            })
            expect(rows.map(nameOf).filter((name) => !/^agrees \| c \| (to be )?committed \| committed$/.test(name))).to.deep.equal([
                'waits | b | to be committed | prepared',
                'compared'
            ])
            expect(rows).to.have.lengthOf(3)
        } finally {
            await world.node('b', 'grant node_app to node_sidecar')
            await world.settled()
        }
    })

    it('stops soon after whoever asked has gone, holds up no other request, and is the only one meanwhile', async () => {
        await fresh()
        for (let i = 0; i < 4; i++) await addRow(world, app)
        await world.settled()
        const dba = await world.connect('dba')
        await dba.query(`set statement_timeout = '60 s'`)
        const { rows } = await dba.query<{ pid: number }>('select pg_backend_pid() as pid')
        const slow = refused(dba.query(`select * from pglobalxact.verify(batch => 1, pause => '30 s')`), {
            code: '57014',
            message: /^canceling statement due to user request$/
        })
        const running = `select from pglobalxact.audits() where state = 'running'`
        await until('it is under way', async () => (await world.admin(`${running} and sets > 0`)).length === 1)
        await refused(verify(), { code: '55000', message: /^the nodes are being verified already$/, hint: /audits\(\)/ })
        expect((await world.admin<{ note: string }>('select note from pglobalxact.status()'))[0]!.note).to.match(
            /^acting; verify\(\) has compared [1-4] sets$/
        )
        await world.admin('select * from pglobalxact.recover()')
        await addRow(world, app)
        await world.settled()
        expect(await world.admin(running), 'all of that beside it').to.have.lengthOf(1)
        await world.sql('select pg_cancel_backend($1)', [rows[0]!.pid])
        await slow
        await until('the sidecar has stopped', async () => (await world.admin(running)).length === 0)
        const [audit] = await world.admin<{ state: string; sets: string; reached: string }>(
            'select state, sets, reached::text from pglobalxact.audits() limit 1'
        )
        expect(audit!.state).to.equal('broken off')
        expect(Number(audit!.sets)).to.be.lessThan(4)
        const last = await world.admin(`select answer from pglobalxact.requests() where kind = 'verify' and answer like 'stopped: %'`)
        expect(last).to.have.lengthOf(1)
        const rest = await findings(`'${audit!.reached}'`)
        expect(rest['compared'], 'from where it stopped, that set again').to.be.at.least(2 * (5 - Number(audit!.sets) + 1))
    })

    it('an audit that the sidecar did not survive is broken off, and its caller is told', async () => {
        const slow = world.admin(`select * from pglobalxact.verify(batch => 1, pause => '30 s')`)
        const told = refused(slow, { code: '55000', message: /^the sidecar stopped before it answered/ })
        await until('it is under way', async () => (await world.sql(`select from pglobalxact.audit where finished_at is null`)).length > 1)
        await world.sidecar!.kill()
        await told
        await world.startSidecar()
        await until(
            'the new one has said so',
            async () => (await world.sql(`select from pglobalxact.audits() where state = 'running'`)).length === 0
        )
        await world.nodesReached()
        expect((await findings())['compared']).to.be.greaterThan(0)
    })

    it('needs a batch and a pause that make sense, and a sidecar', async () => {
        for (const given of ['batch => 0', 'batch => null', 'batch => 10001', `pause => '-1 s'`, 'pause => null', `pause => '1 hour'`])
            await refused(verify(given), { code: '22023', message: /^a batch is 1 to 10000 sets/ })
        await world.sidecar!.stop()
        await refused(verify(), { code: '55000', message: /^no sidecar is running/ })
    })
})
