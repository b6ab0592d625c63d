import { expect } from 'chai'
import type { Client } from 'pg'
import type { Proxy } from '../support/proxy'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow, failure } from './common'

interface Plan extends Record<string, unknown> {
    readonly node: string
    readonly now: string
    readonly decision: string
    readonly at_stake: string | null
    readonly result: string
    readonly confirm: string | null
}

describe('the plan of a force', () => {
    let world: World
    let b: Proxy
    let client: Client
    before(async () => {
        world = await World.create({ name: 'plan', proxied: true })
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

    const plan = (id: string, more = ''): Promise<Plan[]> => world.admin<Plan>(`select * from pglobalxact.force_commit($1 ${more})`, [id])
    const orders = (): Promise<unknown[]> => world.sql('select gid from pglobalxact.forced')

    /** A set that is committed on c and waits for b, which is cut off. */
    async function waiting(): Promise<string> {
        const cut = b.onClientData('COMMIT PREPARED', 'before', () => void b.cut())
        const id = await addRow(world, client)
        await cut
        await until('b is known to be away and c has committed', async () => {
            const rows = await world.sql<{ state: string }>('select state from pglobalxact.branches($1) order by node', [id])
            return rows.map(({ state }) => state).join() === 'waiting,committed'
        })
        return id
    }

    it('says what the node says now, what the decision demands and what would be done, and does nothing', async () => {
        const id = await waiting()
        const [row, ...more] = await plan(id)
        expect(more).to.deep.equal([])
        expect(row).to.deep.include({
            node: 'b',
            now: 'does not answer',
            decision: 'commit',
            result: 'would order commit: carried out if the node returns, not waited for'
        })
        expect(row!.confirm).to.match(/^[0-9a-f]{8}$/)
        expect(await orders()).to.deep.equal([])
        expect((await plan(id))[0]!.confirm, 'the same plan has the same token').to.equal(row!.confirm)
    })

    it('is carried out by its token and a reason, and not without either', async () => {
        const id = await waiting()
        const token = (await plan(id))[0]!.confirm!
        expect(await failure(plan(id, `, confirm => '${token}'`))).to.include({ code: '22023' })
        const error = await failure(plan(id, ", reason => 'x', confirm => '00000000'"))
        expect(error).to.include({ code: '55000', message: 'the plan has changed since it was shown: nothing was done' })
        expect(error.hint).to.equal('Look at the new plan: call again without confirm.')
        expect(await orders()).to.deep.equal([])
        const [done] = await plan(id, `, reason => 'x', confirm => '${token}'`)
        expect(done).to.include({ node: 'b', result: 'commit ordered: carried out if the node returns, not waited for', confirm: null })
        expect(await orders()).to.have.lengthOf(1)
    })

    it('has a token that is void as soon as anything changed', async () => {
        const id = await waiting()
        const token = (await plan(id))[0]!.confirm!
        // The node is back, and cannot finish the branch: the plan is another one now.
        await world.node('b', 'revoke node_app from node_sidecar')
        await b.restore()
        await until('b answers', async () => (await plan(id))[0]!.now.startsWith('prepared since '))
        expect(await failure(plan(id, `, reason => 'x', confirm => '${token}'`))).to.include({ code: '55000' })
        expect(await orders()).to.not.satisfy((all: { gid: string }[]) => all.some(({ gid }) => gid.includes(id)))
        await world.node('b', 'grant node_app to node_sidecar')
    })

    it('is another one for another call: a token of one cannot confirm the other', async () => {
        const id = await waiting()
        const token = (await plan(id))[0]!.confirm!
        const other = world.admin(`select * from pglobalxact.force_rollback($1, accept_mixed => true, reason => 'x', confirm => $2)`, [
            id,
            token
        ])
        expect(await failure(other)).to.include({ code: '55000' })
        const [mixed] = await world.admin<Plan>('select * from pglobalxact.force_rollback($1, accept_mixed => true)', [id])
        expect(mixed!.result).to.match(/AGAINST THE DECISION$/)
        expect(mixed!.decision).to.equal('commit')
    })

    it('shows what the branch holds up: tables, sessions that wait, vacuum; and so does branches()', async () => {
        await world.withdraw('c')
        const id = await world.transfer(client)
        await client.query('commit')
        const c = world.nodes.get('c')!
        const blocked = await c.connect({ database: world.database })
        const behind = await c.connect({ database: world.database })
        try {
            const first = blocked.query('update account set balance = balance').catch(() => undefined)
            const second = behind.query('update account set balance = balance').catch(() => undefined)
            const stake = async (): Promise<Record<string, unknown> | undefined> =>
                (
                    await world.sql(
                        `select locks, blocked, holds_back > 0 as holds, prepared_for is not null as aged, owner, xid is not null as known
                         from pglobalxact.branches($1) where node = 'c'`,
                        [id]
                    )
                )[0]
            await until('both sessions are seen to wait', async () => (await stake())?.['blocked'] === 2, { timeoutMs: 20_000 })
            expect(await stake()).to.deep.equal({
                locks: 'account (RowExclusive)',
                blocked: 2,
                holds: true,
                aged: true,
                owner: 'node_app',
                known: true
            })
            expect(await world.sql('select blocked from pglobalxact.sets() where set_id = $1', [id])).to.deep.equal([{ blocked: 2 }])
            const [row] = await plan(id)
            expect(row!.now).to.match(/^prepared since [0-9-]+ [0-9:]+ UTC by node_app$/)
            expect(row!.at_stake).to.match(/^locks account \(RowExclusive\); 2 sessions wait \(pid \d+, \d+\)/)
            await world.node('c', 'grant node_app to node_sidecar')
            await Promise.all([first, second])
        } finally {
            await Promise.all([blocked.end(), behind.end()])
        }
    })
})
