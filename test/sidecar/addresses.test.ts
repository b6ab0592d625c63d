import { createServer } from 'node:net'
import { expect } from 'chai'
import { freePort } from '../support/ports'
import { startProxy, type Proxy } from '../support/proxy'
import { until } from '../support/wait'
import { PASSWORDS, World } from '../support/world'
import { addRow } from './common'

describe('the address of a node changes, goes away or answers nobody', () => {
    let world: World
    let b: Proxy
    before(async () => {
        world = await World.create({ name: 'addresses', proxied: true, sidecarArgs: ['--retry-cap', '30000'] })
        b = world.proxies.get('b')!
    })
    after(() => world.destroy())
    afterEach(async () => {
        await b.restore()
        await world.settled()
    })

    const node = async (name: string): Promise<Record<string, unknown>> =>
        (await world.sql('select *, extract(epoch from since)::int as seconds from pglobalxact.nodes() where node = $1', [name]))[0]!
    const branch = async (): Promise<Record<string, unknown> | undefined> =>
        (
            await world.sql(
                "select state, attempts, sqlstate, last_error, extract(epoch from next_retry)::float as wait from pglobalxact.branches() where node = 'b' and state <> 'committed'"
            )
        )[0]
    const finishedNodes = async (id: string): Promise<number> =>
        (await world.sql("select from pglobalxact.branches($1) where state = 'committed'", [id])).length

    /** Commits a set whose COMMIT PREPARED does not reach node b, which is cut off then. */
    async function waitingSet(): Promise<string> {
        const client = await world.coordinator.connect(world.login('app'))
        const cut = b.onClientData('COMMIT PREPARED', 'before', () => void b.cut())
        const id = await addRow(world, client)
        await cut
        await client.end()
        await until('the branch waits', async () => (await branch())?.['state'] === 'waiting')
        return id
    }

    it('ALTER SERVER moves the sidecar to the new address, and off the old one', async () => {
        const moved = await startProxy(b.targetPort)
        await world.sql(`alter server b options (set port '${moved.port}')`)
        await until('the old address is left', () => b.sockets === 0)
        await until('the new one is used', async () => moved.sockets > 0 && (await node('b'))['fence'] === 'held')
        const client = await world.coordinator.connect(world.login('app'))
        await addRow(world, client)
        await client.query('select pglobalxact.await()')
        await client.end()
        await world.sql(`alter server b options (set port '${b.port}')`)
        await until('it is back', async () => b.sockets > 0 && moved.sockets === 0 && (await node('b'))['fence'] === 'held')
        await moved.close()
    })

    it('a user mapping with a wrong password is told, and a right one is picked up', async () => {
        await world.sql("alter user mapping for pglobalxact server b options (set password 'wrong')")
        await until('it cannot log in', async () => (await node('b'))['reachable'] === false)
        expect((await node('b'))['last_error']).to.match(/password authentication failed for user "node_sidecar"/)
        await world.sql("alter user mapping for pglobalxact server b options (set password 'node-secret-5')")
        await until('it can', async () => (await node('b'))['reachable'] === true)
    })

    it('branches of a node whose server was dropped wait, are shown with the reason, and are finished when it is there again', async () => {
        const id = await waitingSet()
        await world.sql('drop server b cascade')
        await until('the reason is shown', async () => (await branch())?.['last_error'] === 'foreign server "b" does not exist')
        // Not before: until the sidecar has noticed, it still goes to the old address.
        await b.restore()
        expect(await node('b')).to.include({ reachable: false, waiting: 1, last_error: 'foreign server "b" does not exist' })
        await world.createServer('b')
        await until('both branches are committed', async () => (await finishedNodes(id)) === 2)
    })

    it('a branch that waits for its node does not keep the other branches of its set waiting, nor other sets', async () => {
        const id = await waitingSet()
        await until('the other branch is committed', async () => (await finishedNodes(id)) === 1, { timeoutMs: 5000 })
        const client = await world.coordinator.connect(world.login('app'))
        for (let i = 0; i < 5; i++) {
            await addRow(world, client, ['c'])
            await client.query("select pglobalxact.await(timeout => '2 seconds')")
        }
        await client.end()
        await b.restore()
    })

    it('an undecided branch on a node that goes away stays on the books, its decision told as soon as there is one', async () => {
        const client = await world.coordinator.connect(world.login('app'))
        await client.query('begin')
        const { rows } = await client.query<{ gid: string }>("select pglobalxact.enlist('b') as gid")
        const gid = rows[0]!.gid
        const program = await world.nodes.get('b')!.connect({ database: world.database, user: 'node_app', password: PASSWORDS.node_app })
        await program.query(`begin; insert into account values (88, 88); prepare transaction '${gid}'`)
        await program.end()
        await until('the sidecar has seen it', async () => (await branch())?.['state'] === 'running')
        await b.cut()
        await until('it is known to wait', async () => (await branch())?.['state'] === 'waiting')
        expect(await world.sql('select decision, gid from pglobalxact.branches()')).to.deep.equal([{ decision: 'undecided', gid }])
        await client.query('rollback')
        await client.end()
        await until(
            'it is known what will become of it',
            async () => (await world.sql('select decision from pglobalxact.branches()'))[0]?.['decision'] === 'rollback'
        )
        expect((await world.sql('select phase, outcome from pglobalxact.sets()'))[0]).to.deep.equal({
            phase: 'incomplete',
            outcome: 'rolled back'
        })
        await b.restore()
        await until('it is off the books', async () => (await world.sql('select from pglobalxact.sets()')).length === 0)
        expect(await world.prepared()).to.deep.equal([])
    })

    it('a branch that is committed just before its node goes away is not on the books', async () => {
        const client = await world.coordinator.connect(world.login('app'))
        for (let turn = 0; turn < 20; turn++) await addRow(world, client, ['b'])
        await client.query('select pglobalxact.await()')
        await client.end()
        await b.cut()
        await until('it is known to be away', async () => (await node('b'))['reachable'] === false)
        expect(await world.sql('select from pglobalxact.sets()')).to.deep.equal([])
    })

    it('tries are spaced wider and wider while the node is away, and begin anew when it has been back', async () => {
        const id = await waitingSet()
        const longWaits = async (): Promise<boolean> => Number((await branch())!['wait']) > 1
        await until('a wait of more than a second is reached', longWaits, { timeoutMs: 30_000 })
        expect(Number((await branch())!['attempts'])).to.be.within(3, 12)
        expect((await branch())!['last_error']).to.match(/connection refused by /)
        await b.restore()
        await until('both branches are committed', async () => (await finishedNodes(id)) === 2)
        // Cut again: the first wait is short.
        const again = await waitingSet()
        expect(Number((await branch())!['wait'])).to.be.below(1)
        expect(Number((await branch())!['attempts'])).to.be.below(5)
        await b.restore()
        await until('both branches are committed', async () => (await finishedNodes(again)) === 2)
    })

    it('retry() does not wait', async () => {
        const id = await waitingSet()
        await until('a wait of more than a second is reached', async () => Number((await branch())!['wait']) > 1.5, { timeoutMs: 30_000 })
        const waiting = await world.admin('select * from pglobalxact.retry($1)', [id])
        expect(waiting).to.deep.include({ node: 'c', result: 'committed' })
        expect(waiting.find((row) => row['node'] === 'b')!['result']).to.match(/^not yet committed: /)
        await b.restore()
        expect(await world.admin('select * from pglobalxact.retry($1) order by 1', [id])).to.deep.equal([
            { node: 'b', result: 'committed' },
            { node: 'c', result: 'committed' }
        ])
    })

    it('an address that hangs up on everyone is not rushed at', async () => {
        let calls = 0
        const server = createServer((socket) => {
            calls += 1
            socket.destroy()
        })
        const port = await freePort()
        await new Promise<void>((done) => server.listen(port, '127.0.0.1', done))
        await world.sql(`alter server b options (set port '${port}', add sslmode 'disable')`)
        const started = Date.now()
        await until('five seconds have passed', () => Date.now() - started > 5000)
        // Waits grow from 250 ms and double: 5 s hold six tries at most, twice as many with all luck of the jitter.
        expect(calls).to.be.within(2, 14)
        await world.sql(`alter server b options (set port '${b.port}', drop sslmode)`)
        await until('it is back', async () => (await node('b'))['reachable'] === true)
        await new Promise((done) => server.close(done))
    })
})
