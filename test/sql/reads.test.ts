import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from 'pg'
import { World } from '../support/world'

const SEED = Number(process.env['PGLOBALXACT_FUZZ_SEED'] ?? Date.now() % 1_000_000_007)

const SETS =
    'select set_id, phase, outcome, nodes, prepared, finished, blocked, role, application, client, attempts, next_retry is not null as retried, last_error, ordinality::int as place from pglobalxact.sets() with ordinality'
const BRANCHES = 'select set_id, node, state, decision, blocked, attempts, last_error, gid from pglobalxact.branches()'

/** sets() has a way of its own for a single error, and another one for several and for sets that went astray. */
const BOOKS = [
    { of: 'no node', trouble: 0, astray: false },
    { of: 'one node', trouble: 0.3, astray: false },
    { of: 'all nodes', trouble: 0.3, astray: false },
    { of: 'all nodes, and with whole sets', trouble: 0.3, astray: true }
] as const

describe('what is read of many open sets', () => {
    let world: World
    let client: Client
    before(async () => {
        world = await World.create({ name: 'reads', bare: true })
        await world.sql(readFileSync(join(__dirname, 'reads', 'books.sql'), 'utf8'))
        // Three numbers with a gap between them, as a node that was refused leaves one.
        await world.sql(
            "insert into pglobalxact.node (number, name, added_by) overriding system value values (1, 'n3', 'test'), (2, 'n1', 'test'), (4, 'n2', 'test')"
        )
        client = await world.coordinator.connect({ database: world.database })
        await client.query('set session_replication_role = replica')
        await client.query('select setseed($1)', [(SEED % 1000) / 1000])
        console.log(`    PGLOBALXACT_FUZZ_SEED=${SEED}`)
    })
    after(async () => {
        await client?.end()
        await world?.destroy()
    })

    const rows = async (text: string): Promise<readonly unknown[]> => (await client.query(text)).rows

    for (const { of, trouble, astray } of BOOKS) {
        it(`is what the tables say, when there is trouble with ${of}`, async () => {
            for (let round = 0; round < 8; round++) {
                await client.query('select fill($1, $2)', [20 * round, trouble])
                if (of === 'one node') await client.query('update pglobalxact.branch_status set message = null where node <> 2')
                if (!astray) await client.query("update pglobalxact.commit_record set outcome = 'committed' where outcome is not null")
                expect(await rows(SETS)).to.deep.equal(
                    await rows(
                        'select set_id, phase, outcome, nodes, prepared, finished, blocked, role, application, client, attempts, retried, last_error, place from plain_sets order by place'
                    )
                )
                expect(await rows(BRANCHES)).to.deep.equal(
                    await rows(
                        'select set_id, node, state, decision, blocked, attempts, last_error, gid from plain_branches order by last_error is null, set_id, node'
                    )
                )
                expect(await rows('select node, waiting from pglobalxact.nodes() order by node')).to.deep.equal(
                    await rows(
                        "select n.name as node, count(b.set_id) filter (where b.state in ('prepared', 'retry', 'waiting', 'left alone'))::int as waiting from pglobalxact.node n left join plain_branches b on b.node = n.name group by n.name order by n.name"
                    )
                )
            }
        })
    }

    it('has sets in flight beside them, each by itself, and no lock on a node that there is not', async () => {
        await client.query('select fill(0, 0)')
        const hold = async (nodes: readonly number[], xid: boolean): Promise<Client> => {
            const session = await world.coordinator.connect({ database: world.database, application_name: 'in flight' })
            await session.query('begin; lock table pglobalxact.commit_record in row exclusive mode')
            if (xid) await session.query('select pg_current_xact_id()')
            for (const node of nodes)
                await session.query("select pg_advisory_xact_lock_shared(pglobalxact._lock_key('in flight'), $1)", [node])
            return session
        }
        const sessions = [
            await hold([1, 2], true),
            await hold([2], true),
            await hold([4], false),
            await hold([1, 4], false),
            await hold([99], true)
        ]
        const found = (await rows(`${SETS} where application = 'in flight'`)) as readonly { set_id: string; nodes: number; place: number }[]
        expect(found.map(({ nodes }) => nodes)).to.deep.equal([2, 1, 1, 2])
        expect(found.filter(({ set_id }) => /^\(pid \d+\)$/.test(set_id)).length).to.equal(2)
        for (const one of found)
            expect(one).to.include({ phase: 'begin', outcome: 'in progress', role: 'postgres', prepared: 0, finished: 0, last_error: null })
        for (const session of sessions) await session.end()
    })

    it('takes history() no look at all branches, whatever the planner thinks of them', async () => {
        await client.query('select fill(1000, 0)')
        await client.query('update pglobalxact.branch_record set fate = null, finished_at = null')
        // The planner now believes that there is no branch with a fate, so that whoever looks for those reads all.
        await client.query('analyze pglobalxact.commit_record, pglobalxact.branch_record')
        await client.query("update pglobalxact.branch_record set fate = 'committed', finished_at = now()")
        await client.query('begin')
        const scans = async (): Promise<readonly unknown[]> =>
            rows("select seq_scan::int as scans from pg_stat_xact_user_tables where relid = 'pglobalxact.branch_record'::regclass")
        const before = await scans()
        expect((await rows('select * from pglobalxact.history()')).length).to.equal(200)
        expect(await scans()).to.deep.equal(before)
        await client.query('rollback')
    })
})
