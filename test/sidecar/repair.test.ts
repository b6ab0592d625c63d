import { expect } from 'chai'
import type { Client } from 'pg'
import { refused } from '../support/refused'
import { until } from '../support/wait'
import { World } from '../support/world'
import { allowWatching, feedOf, logicalCluster, prepareOn, streams } from './watching'

interface Step extends Record<string, unknown> {
    readonly node: string
    readonly step: number | null
    readonly statement: string | null
    readonly problem: string | null
}

/** Whatever a value or a name may hold, it stays one. */
const ODD = `it's $repair$ \\ "odd"; end $repair_$; drop table account; --`

describe('repair_sql', () => {
    let world: World
    let client: Client

    before(async () => {
        const [b, c] = await Promise.all([logicalCluster('lb'), logicalCluster('lc')])
        world = await World.create({ name: 'repair', clusters: { b, c } })
        await allowWatching(world, 'b', 'c')
        for (const node of ['b', 'c']) {
            await world.node(
                node,
                `create table "od'd $repair$" (id int primary key, "va""lue" text, doc json, at timestamptz, raw bytea, place point, more text);
                 alter table "od'd $repair$" replica identity full; grant all on "od'd $repair$" to node_app`
            )
            await world.admin('select * from pglobalxact.watch_node($1)', [node])
            await streams(world, node)
        }
        client = await world.connect()
    })
    after(() => world?.destroy())
    beforeEach(() =>
        Promise.all(
            ['b', 'c'].map((node) =>
                world.node(
                    node,
                    `delete from "od'd $repair$"; insert into "od'd $repair$" values
                     (1, 'one', '{"a": 1}', '2026-01-02 03:04:05.678901+02', '\\x0001', '(1,2)', repeat('m', 5000)), (2, null, null, null, null, null, null)`
                )
            )
        )
    )

    const repair = (set: string, more = ''): Promise<Step[]> => world.admin<Step>(`select * from pglobalxact.repair_sql($1${more})`, [set])
    const odd = (node: string): Promise<unknown[]> => world.node(node, `select t::text as row from "od'd $repair$" t order by id`)
    /** As a person would: all that is printed, in one script. */
    const run = (node: string, steps: readonly Step[]): Promise<unknown> =>
        world.node(node, steps.flatMap(({ statement }) => statement ?? []).join('\n'))

    const work = [
        `insert into "od'd $repair$" values (3, ${"'" + ODD.replaceAll("'", "''") + "'"}, '[1, null]', '1999-12-31 23:59:59.000001+00', '\\xdeadbeef', '(0.1,-2e-7)', null)`,
        `update "od'd $repair$" set "va""lue" = null, doc = '{"b": 2}' where id = 1`,
        `update "od'd $repair$" set id = 20, at = 'infinity' where id = 2`,
        `delete from "od'd $repair$" where id = 1`
    ]

    /** A set that is committed on c, and was rolled back by hand on b. */
    async function mixed(): Promise<string> {
        await client.query('begin')
        for (const node of ['b', 'c']) for (const sql of work) await client.query('select pglobalxact.exec($1, $2)', [node, sql])
        const { rows } = await client.query<{ id: string }>('select pglobalxact.set_id() as id')
        await world.admin('select pglobalxact.pause($1)', ['no other set'])
        await world.withdraw('b')
        await client.query('commit')
        const [gid] = await until('b cannot be finished', async () => {
            const left = await world.prepared()
            return left.length === 1 && left
        })
        // Its sessions were ended with the membership, and the stream with them: begun anew behind the rollback, it would not have the rows.
        await until(
            'the rows are kept',
            async () => (await world.admin("select from pglobalxact.changes($1, 'b')", [rows[0]!.id])).length === work.length
        )
        await world.node('b', `rollback prepared '${gid}'`)
        await world.node('b', 'grant node_app to node_sidecar')
        await world.admin('select pglobalxact.resume()')
        await until('it is mixed', async () => (await world.sql("select from pglobalxact.sets() where outcome = 'mixed'")).length === 1)
        return rows[0]!.id
    }

    const acknowledge = async (id: string): Promise<void> => {
        await world.admin('select pglobalxact.acknowledge($1, $2)', [id, 'repaired'])
        await world.settled()
    }

    it('does again what was undone on the node that went the other way: it is then like the others', async () => {
        const id = await mixed()
        expect(await odd('b')).to.not.deep.equal(await odd('c'))
        const steps = await repair(id)
        expect(steps.map(({ node, step, problem }) => [node, step, problem])).to.deep.equal([
            ['b', 0, null],
            ['b', 1, null],
            ['b', 2, null],
            ['b', 3, null],
            ['b', 4, null],
            ['b', null, null]
        ])
        expect(await odd('b'), 'nothing is run by itself').to.not.deep.equal(await odd('c'))
        // What it needs outlives the sidecar's memory and the slot's position.
        await world.sidecar!.kill()
        await world.startSidecar()
        expect(await repair(id)).to.deep.equal(steps)
        await run('b', steps)
        expect(await odd('b')).to.deep.equal(await odd('c'))
        await refused(run('b', steps), { code: '23505|P0001', message: /duplicate key|rows changed, and it is to be 1: 0/ })
        await acknowledge(id)
        await world.sql('select pglobalxact._purge()')
        expect((await repair(id)).map(({ statement }) => statement)).to.deep.equal([null])
    })

    it('undoes it on the others, if that is the way wanted', async () => {
        const before = await odd('c')
        const id = await mixed()
        const steps = await repair(id, ", toward => 'rollback'")
        expect(steps.map(({ node, step, problem }) => [node, step, problem])).to.deep.equal([
            ['c', 0, null],
            ['c', -4, null],
            ['c', -3, null],
            ['c', -2, null],
            ['c', -1, null],
            ['c', null, null]
        ])
        // A row that has changed since must not be lost: then nothing of it is done.
        await world.node('c', `update "od'd $repair$" set more = 'newer' where id = 3`)
        await refused(run('c', steps), { code: 'P0001', message: /step 1.*rows changed, and it is to be 1: 0/ })
        expect(await world.node('c', 'select 1 where not exists (select from "od\'d $repair$" where id = 1)')).to.have.lengthOf(1)
        await world.node('c', `update "od'd $repair$" set more = null where id = 3`)
        await run('c', steps)
        expect(await odd('c')).to.deep.equal(before)
        await refused(repair(id, ", toward => 'somewhere'"), { code: '22023', message: /toward is "somewhere"/ })
        await acknowledge(id)
    })

    it('says that rows may be missing where the node had decoded the branch after it was rolled back only', async () => {
        await client.query("set pglobalxact.verify_enlisted = 'off'")
        await world.sidecar!.stop()
        const { id, gid } = await prepareOn(world, 'b', client, ...work)
        await world.node('b', `rollback prepared '${gid}'`)
        await client.query('commit; reset pglobalxact.verify_enlisted')
        await world.startSidecar()
        // Nothing proves to the coordinator what became of it; the stream knows.
        await until(
            'it is on the books',
            async () => (await world.sql("select from pglobalxact.sets() where outcome = 'unknown'")).length === 1
        )
        await feedOf(world, gid, 2)
        const steps = await repair(id)
        expect(steps.map(({ problem }) => problem)).to.contain(
            'its branch was rolled back before it had been decoded: its rows may not all be known'
        )
        expect(steps.at(-1)!.statement).to.match(/^rollback; /)
        await acknowledge(id)
    })

    it('undoes a branch that somebody committed though its set was rolled back, and says what cannot be undone', async () => {
        const before = await odd('b')
        const { id, gid } = await prepareOn(world, 'b', client, ...work, 'update account set balance = balance + 5')
        await refused(repair(id), { code: '55000', message: /is not over/ })
        await until(
            'its rows are known',
            async () => (await world.admin("select from pglobalxact.changes($1, 'b')", [id])).length === work.length + 1
        )
        await world.node('b', `commit prepared '${gid}'`)
        await client.query('rollback')
        const steps = await until('the node has told of the commit', async () => {
            const found = await repair(id)
            return found.length > 1 && found
        })
        expect(steps.map(({ step, problem }) => [step, problem])).to.deep.equal([
            [0, null],
            [-5, 'the old row of this update of public.account is not known, as its replica identity is not FULL'],
            [-4, null],
            [-3, null],
            [-2, null],
            [-1, null],
            [null, null]
        ])
        expect(steps.at(-1)!.statement).to.match(/^rollback; \/\* 1 changes are missing/)
        await run('b', steps.slice(0, -1).concat({ ...steps.at(-1)!, statement: 'commit;' }))
        expect(await odd('b')).to.deep.equal(before)
    })
})
