import { expect } from 'chai'
import type { Client } from 'pg'
import type { Proxy } from '../support/proxy'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow, failure } from './common'

interface Answer extends Record<string, unknown> {
    readonly node: string
    readonly result: string
}

const WITHDRAWN = 'carried out if the node returns, not waited for'

describe('force_commit and force_rollback of a set that is decided', () => {
    let world: World
    let b: Proxy
    let client: Client
    before(async () => {
        world = await World.create({ name: 'force', proxied: true })
        b = world.proxies.get('b')!
    })
    after(() => world.destroy())
    beforeEach(async () => {
        client = await world.connect()
    })
    afterEach(async () => {
        await b.restore()
        await world.settled()
    })

    const force = (action: 'commit' | 'rollback', set: string, more = ''): Promise<Answer[]> =>
        world.admin<Answer>(`select node, result from pglobalxact.force_${action}($1, reason => 'ticket 4711', confirm => 'yes' ${more})`, [
            set
        ])
    const outcome = async (id: string): Promise<string> =>
        (await world.sql<{ o: string }>('select pglobalxact.outcome($1) as o', [id]))[0]!.o
    const books = (id: string): Promise<Record<string, unknown>[]> =>
        world.sql('select phase, outcome, finished from pglobalxact.sets() where set_id = $1', [id])
    const fates = (id: string): Promise<Record<string, unknown>[]> =>
        world.sql('select node, state from pglobalxact.branches($1) order by node', [id])
    const events = (id: string): Promise<Record<string, unknown>[]> =>
        world.sql("select kind, who, detail from pglobalxact.event where set_id = $1 and kind like 'forced%' order by id", [id])

    /** A set that is committed on c and waits for b, which is cut off. */
    async function waiting(): Promise<string> {
        const cut = b.onClientData('COMMIT PREPARED', 'before', () => void b.cut())
        const id = await addRow(world, client)
        await cut
        await until(
            'b is known to be away',
            async () => (await world.sql("select from pglobalxact.branches($1) where node = 'b' and state = 'waiting'", [id])).length === 1
        )
        await until(
            'c has committed',
            async () =>
                (await world.sql("select from pglobalxact.branches($1) where node = 'c' and state = 'committed'", [id])).length === 1
        )
        return id
    }

    const rowsOnB = (): Promise<unknown[]> => world.node('b', 'select from account where id > 1000')

    it('force_commit with its decision stops waiting for a dead node, which commits when it returns', async () => {
        const id = await waiting()
        expect(await force('commit', id)).to.deep.equal([{ node: 'b', result: `commit ordered: ${WITHDRAWN}` }])
        await until('it is off the books', async () => (await books(id)).length === 0)
        expect(await outcome(id)).to.equal('committed')
        expect(await world.admin('select * from pglobalxact.state_lines()')).to.deep.equal([])
        expect(await fates(id)).to.deep.equal([
            { node: 'b', state: 'forced commit' },
            { node: 'c', state: 'committed' }
        ])
        expect(await events(id)).to.deep.equal([{ kind: 'forced commit', who: 'dba', detail: 'ticket 4711' }])
        const before = (await rowsOnB()).length
        await b.restore()
        await until('b has committed', async () => (await world.prepared()).length === 0)
        expect((await rowsOnB()).length).to.equal(before + 1)
        await until('its fate is known', async () => (await fates(id))[0]!['state'] === 'committed')
    })

    it('force_rollback against it is refused, until accept_mixed says so; then it is mixed until acknowledged', async () => {
        const id = await waiting()
        const error = await failure(force('rollback', id))
        expect(error).to.include({ code: '55000', message: `set "${id}" is decided: its local transaction committed` })
        expect(error.hint).to.match(/add accept_mixed => true/)
        expect(await events(id)).to.deep.equal([])

        expect(await force('rollback', id, ', accept_mixed => true')).to.deep.equal([
            { node: 'b', result: `rollback ordered: ${WITHDRAWN}` }
        ])
        await until('it is mixed', async () => (await outcome(id)) === 'mixed')
        expect(await books(id)).to.deep.equal([{ phase: 'incomplete', outcome: 'mixed', finished: 1 }])
        expect(await fates(id)).to.deep.equal([
            { node: 'b', state: 'forced rollback' },
            { node: 'c', state: 'committed' }
        ])
        const before = (await rowsOnB()).length
        await b.restore()
        await until('b has rolled back', async () => (await world.prepared()).length === 0)
        expect((await rowsOnB()).length).to.equal(before)
        await until('its fate is known', async () => (await fates(id))[0]!['state'] === 'rolled back')
        expect(await books(id)).to.deep.equal([{ phase: 'incomplete', outcome: 'mixed', finished: 2 }])
        expect(world.sidecar!.logs.join('\n'), 'an order is no contradiction').to.not.contain('contradicts')

        expect(await failure(world.admin("select pglobalxact.acknowledge($1, '')", [id]))).to.include({ code: '22023' })
        expect(await world.admin("select pglobalxact.acknowledge($1, 'row repaired by hand') as outcome", [id])).to.deep.equal([
            { outcome: 'mixed' }
        ])
        expect(await books(id)).to.deep.equal([])
        expect(await outcome(id)).to.equal('mixed')
        expect(await failure(world.admin("select pglobalxact.acknowledge($1, 'x')", [id]))).to.include({ code: '55000' })
    })

    it('force_rollback with accept_mixed rolls a reachable branch back at once', async () => {
        // Another's prepared transaction of that name cannot be: so c is kept from committing by its missing right.
        await world.withdraw('c')
        const id = await addRow(world, client)
        await until(
            'b has committed and c has not',
            async () => JSON.stringify(await fates(id)) === '[{"node":"b","state":"committed"},{"node":"c","state":"retry"}]'
        )
        const [tried] = await force('rollback', id, ", node => 'c', accept_mixed => true")
        expect(tried).to.deep.equal({ node: 'c', result: 'not yet rolled back: permission denied to set role "node_app"' })
        const attempts = async (): Promise<number> =>
            Number((await world.sql("select attempts from pglobalxact.branches($1) where node = 'c'", [id]))[0]!['attempts'])
        const before = await attempts()
        await until('it was tried again', async () => (await attempts()) > before + 1)
        expect(world.sidecar!.logs.join('\n'), 'an order is no contradiction').to.not.contain('contradicts')
        // The order stands, also for the next sidecar, whose state files still say commit.
        await world.sidecar!.kill()
        await world.node('c', 'grant node_app to node_sidecar')
        await world.startSidecar()
        await until('it is mixed', async () => (await outcome(id)) === 'mixed')
        expect(await fates(id)).to.deep.equal([
            { node: 'b', state: 'committed' },
            { node: 'c', state: 'rolled back' }
        ])
        expect(world.sidecar!.logs.join('\n')).to.not.contain('contradicts')
        await world.admin("select pglobalxact.acknowledge($1, 'as ordered')", [id])
    })

    it('takes a gid for the branch on its node alone', async () => {
        const id = await waiting()
        const [gid] = (await world.sql<{ gid: string }>("select gid from pglobalxact.branches($1) where node = 'b'", [id])).map(
            (row) => row.gid
        )
        const other = gid!.replace(
            /_\d+$/,
            `_${(await world.sql<{ number: number }>("select number from pglobalxact.node where name = 'c'"))[0]!.number}`
        )
        expect(await failure(force('commit', other))).to.include({
            code: '42704',
            message: `set "${id}" has no unfinished branch on node "c"`
        })
        expect(await force('commit', gid!)).to.deep.equal([{ node: 'b', result: `commit ordered: ${WITHDRAWN}` }])
    })

    it('is refused for what it cannot be, and changes nothing', async () => {
        const id = await addRow(world, client)
        await client.query('select pglobalxact.await()')
        const [coordinator] = await world.sql<{ id: string }>('select id from pglobalxact.coordinator')
        for (const action of ['commit', 'rollback'] as const) {
            expect(await failure(force(action, id, ', accept_mixed => true'))).to.include({
                code: '55000',
                message: `set "${id}" is complete: there is nothing to force`
            })
            expect(await failure(force(action, '999999999_00000000'))).to.include({ code: '42704' })
            expect(await failure(force(action, 'nonsense'))).to.include({
                code: '22023',
                message: '"nonsense" is not a set id or gid of pglobalxact'
            })
            expect(await failure(force(action, '131077_AAAAAAAAAAAAAP//fwAAAQ==_AAAA'))).to.include({ code: '22023' })
            expect(await failure(force(action, `pgx_00000000_${id}_1`))).to.include({
                code: '22023',
                message: `gid "pgx_00000000_${id}_1" belongs to coordinator 00000000, not to this one (${coordinator!.id})`
            })
            expect(await failure(force(action, id, ", node => 'nowhere'"))).to.include({
                code: '42704',
                message: 'node "nowhere" does not exist'
            })
            for (const reason of ['null', "''", "'  '"]) {
                expect(
                    await failure(world.admin(`select * from pglobalxact.force_${action}($1, reason => ${reason}, confirm => 'yes')`, [id]))
                ).to.include({
                    code: '22023',
                    message: 'a reason is needed: it is recorded with who and when'
                })
            }
        }
        expect(await world.sql("select from pglobalxact.forced where gid like '%' || $1 || '%'", [id])).to.deep.equal([])
        expect(await outcome(id)).to.equal('committed')
        for (const bad of [id, '999999999_00000000', 'nonsense']) {
            expect((await failure(world.admin("select pglobalxact.acknowledge($1, 'x')", [bad]))).code).to.be.oneOf([
                '55000',
                '42704',
                '22023'
            ])
        }
    })
})
