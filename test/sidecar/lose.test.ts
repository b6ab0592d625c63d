import { expect } from 'chai'
import type { Client } from 'pg'
import type { Proxy } from '../support/proxy'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow, failure } from './common'

describe('a node that will not come back', () => {
    let world: World
    let b: Proxy
    let client: Client
    before(async () => {
        world = await World.create({ name: 'lose', proxied: true })
        b = world.proxies.get('b')!
    })
    after(() => world.destroy())
    beforeEach(async () => {
        client = await world.connect()
    })
    afterEach(async () => {
        await b.restore()
        await world.admin("select * from pglobalxact.add_node('b')")
        for (const { id } of await world.sql<{ id: string }>(
            "select set_id as id from pglobalxact.sets() where outcome in ('mixed', 'unknown')"
        )) {
            await world.admin("select pglobalxact.acknowledge($1, 'the test is over')", [id])
        }
        await world.settled()
    })

    const books = (id: string): Promise<Record<string, unknown>[]> =>
        world.sql('select phase, outcome from pglobalxact.sets() where set_id = $1', [id])
    const states = async (id: string): Promise<string> =>
        (await world.sql<{ s: string }>('select state as s from pglobalxact.branches($1) order by node', [id])).map(({ s }) => s).join()
    const outcome = async (id: string): Promise<unknown> => (await world.sql('select pglobalxact.outcome($1) as o', [id]))[0]!['o']
    const lose = (more = ''): Promise<Record<string, unknown>[]> => world.admin(`select * from pglobalxact.lose_node('b' ${more})`)
    const lines = (): Promise<unknown[]> => world.admin('select * from pglobalxact.state_lines()')
    const rowsOnB = async (): Promise<number> => (await world.node('b', 'select from account where id > 1000')).length

    /** A set that is committed on c and waits for b, which is cut off. */
    async function waiting(): Promise<string> {
        const cut = b.onClientData('COMMIT PREPARED', 'before', () => void b.cut())
        const id = await addRow(world, client)
        await cut
        await until('b is known to be away and c has committed', async () => (await states(id)) === 'waiting,committed')
        return id
    }

    it('is planned first, with every set that waits for it', async () => {
        const id = await waiting()
        const [node, branch, ...more] = await lose()
        expect(more).to.deep.equal([])
        expect(node).to.deep.include({
            set_id: null,
            node: 'b',
            now: 'does not answer',
            result: "would be declared lost: new sets cannot use it until add_node('b')"
        })
        expect(branch).to.deep.include({
            set_id: id,
            node: 'b',
            decision: 'commit',
            result: 'would be no longer waited for; settled by the commit records if the node returns'
        })
        expect(branch!['confirm']).to.equal(node!['confirm'])
        expect(await world.sql('select from pglobalxact.node where lost_at is not null')).to.deep.equal([])
    })

    it('is not waited for once lost; its sets stay on the books until acknowledged, and new sets are refused it', async () => {
        const id = await waiting()
        const token = String((await lose())[0]!['confirm'])
        await lose(`, reason => 'burnt down', confirm => '${token}'`)
        await until('the set is unknown', async () => JSON.stringify(await books(id)) === '[{"phase":"incomplete","outcome":"unknown"}]')
        expect(await states(id)).to.equal('lost,committed')
        expect(await outcome(id)).to.equal('unknown')
        await until('the state files are empty', async () => (await lines()).length === 0)
        expect(await world.sql("select last_error from pglobalxact.nodes() where node = 'b'")).to.deep.equal([
            { last_error: 'declared lost by dba: burnt down' }
        ])
        const error = await failure(client.query("select pglobalxact.exec('b', 'select 1')"))
        expect(error).to.include({ code: '55000', hint: "If it is back: select * from pglobalxact.add_node('b');" })
        expect(error.message).to.match(/^node "b" was declared lost by dba at .*: burnt down$/)
        await addRow(world, client, ['c'])
        await world.admin("select pglobalxact.acknowledge($1, 'b is gone')", [id])
        expect(await books(id)).to.deep.equal([])
        expect(await world.sql("select kind, who, detail from pglobalxact.event where kind = 'node lost'")).to.deep.equal([
            { kind: 'node lost', who: 'dba', detail: 'burnt down' }
        ])
    })

    it('is settled by the commit records if it returns all the same, acknowledged or not', async () => {
        const id = await waiting()
        const acknowledged = await addRow(world, client, ['c'])
        const before = await rowsOnB()
        await lose(", reason => 'burnt down', confirm => 'yes'")
        await until('the set is unknown', async () => (await outcome(id)) === 'unknown')
        await world.admin("select pglobalxact.acknowledge($1, 'b is gone')", [id])
        // A sidecar that knows nothing of it any more.
        await world.sidecar!.kill()
        await world.startSidecar()
        await b.restore()
        await until('b has committed', async () => (await world.prepared()).length === 0)
        expect(await rowsOnB()).to.equal(before + 1)
        await until('the outcome is known after all', async () => (await outcome(id)) === 'committed')
        expect(await states(id)).to.equal('committed,committed')
        expect(await outcome(acknowledged)).to.equal('committed')
        await until('it is told', async () => (await world.sql("select from pglobalxact.event where kind = 'node found'")).length > 0)
    })

    it('is settled also if the branch was committed before the node was lost, and only the answer was not heard', async () => {
        const cut = b.onClientData('COMMIT PREPARED', 'after', () => b.blackhole())
        const id = await addRow(world, client)
        await cut
        await until('b has committed', async () => (await world.prepared()).length === 0)
        await b.cut()
        await until('b is known to be away and c has committed', async () => (await states(id)) === 'waiting,committed')
        await lose(", reason => 'burnt down', confirm => 'yes'")
        await until('the set is unknown', async () => (await outcome(id)) === 'unknown')
        await b.restore()
        await until('the outcome is known after all', async () => (await outcome(id)) === 'committed')
    })

    it('that answers is not lost', async () => {
        const error = await failure(lose())
        expect(error).to.include({ code: '55000', message: 'node "b" answers: it is not lost' })
        expect(error.hint).to.match(/remove_node\('b'\)/)
        expect(await failure(world.admin("select * from pglobalxact.lose_node('nowhere')"))).to.include({ code: '42704' })
    })

    it('can be forgotten for one set: off the books at once, and settled if the node returns', async () => {
        const id = await waiting()
        const forget = (more = ''): Promise<Record<string, unknown>[]> => world.admin(`select * from pglobalxact.forget($1 ${more})`, [id])
        const [plan] = await forget()
        expect(plan).to.deep.include({
            set_id: id,
            node: 'b',
            decision: 'commit',
            result: 'would be no longer waited for; settled by the commit records if the node returns'
        })
        expect(await failure(forget(", confirm => 'yes'"))).to.include({ code: '22023' })
        await forget(`, reason => 'ticket 4711', confirm => '${String(plan!['confirm'])}'`)
        expect(await books(id)).to.deep.equal([])
        await until('the state files are empty', async () => (await lines()).length === 0)
        const again = await failure(forget())
        expect(again).to.include({ code: '55000' })
        const before = await rowsOnB()
        await b.restore()
        await until('b has committed', async () => (await world.prepared()).length === 0)
        expect(await rowsOnB()).to.equal(before + 1)
        await until('the outcome is known', async () => (await outcome(id)) === 'committed')
    })

    it('cannot be forgotten for a set that waits for no such node', async () => {
        const id = await addRow(world, client)
        await world.settled()
        expect(await failure(world.admin('select * from pglobalxact.forget($1)', [id]))).to.include({ code: '55000' })
        expect(await failure(world.admin("select * from pglobalxact.forget('1_00000000')"))).to.include({ code: '42704' })
    })
})
