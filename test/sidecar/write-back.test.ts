import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { startCluster, type Cluster } from '../support/cluster'
import type { Proxy } from '../support/proxy'
import { until } from '../support/wait'
import { World } from '../support/world'

/** Decided sets while the coordinator database is down: the state files carry them. */
describe('a decided set and the going of its coordinator', () => {
    let own: Cluster
    let world: World
    let b: Proxy
    before(async () => {
        own = await startCluster({ name: 'own' })
        world = await World.create({ name: 'writeback', clusters: { a: own }, proxied: true })
        b = world.proxies.get('b')!
    })
    after(async () => {
        await world.destroy()
        await own.destroy()
    })
    afterEach(() => world.settled())

    /** Commits a transfer whose COMMIT PREPARED on node b is held in a black hole. */
    async function heldCommit(): Promise<string> {
        const client = await own.connect(world.login('app'))
        const id = await world.transfer(client)
        const held = b.onClientData('COMMIT PREPARED', 'before', () => b.blackhole())
        await client.query('commit')
        await held
        await client.end()
        await until(
            'node c has committed',
            async () => (await world.node('c', 'select from pg_prepared_xacts where gid like $1', [`%${id}%`])).length === 0
        )
        return id
    }

    const preparedOn = async (name: string): Promise<number> =>
        (await world.node(name, 'select from pg_prepared_xacts where database = current_database()')).length
    const outcome = async (id: string): Promise<unknown> =>
        (
            await world.sql(
                "select pglobalxact.outcome($1) as o, (select complete_at is not null from pglobalxact.commit_record where xid::text || '_' || nonce = $1) as complete",
                [id]
            )
        )[0]

    it('is finished on every node while the coordinator is down, and told to it when it is back', async () => {
        const before = await world.balances()
        const id = await heldCommit()
        await own.stop('immediate')
        expect(await preparedOn('b')).to.equal(1)
        b.resetAll()
        await b.restore()
        await until('node b has committed, without the coordinator', async () => (await preparedOn('b')) === 0)
        expect(
            readdirSync(world.stateDir).filter((name) => name.startsWith('state-')),
            'kept until the coordinator knows'
        ).to.have.lengthOf(1)
        await own.start()
        await until('the coordinator knows', async () => ((await outcome(id)) as { complete: boolean }).complete)
        expect(await outcome(id)).to.deep.equal({ o: 'committed', complete: true })
        const after = await world.balances()
        expect([after['a']! - before['a']!, after['b']! - before['b']!, after['c']! - before['c']!]).to.deep.equal([-20, 10, 10])
    })

    it('is finished while the coordinator is frozen, and its connections stand open and silent', async () => {
        const id = await heldCommit()
        const from = world.sidecar!.logs.length
        own.pause()
        try {
            // From here on the sidecar waits for the coordinator, to tell it what it has seen of the node.
            await world.sidecar!.waitForLog(/ warning node cannot be reached node=b /, undefined, from)
            b.resetAll()
            await b.restore()
            await until('node b has committed, without the coordinator', async () => (await preparedOn('b')) === 0, { timeoutMs: 40_000 })
        } finally {
            own.resume()
        }
        await until('the coordinator knows', async () => ((await outcome(id)) as { complete: boolean }).complete)
        await until(
            'the sidecar acts',
            async () => (await world.sql<{ sidecar: string }>('select sidecar from pglobalxact.status()'))[0]!.sidecar === 'acting'
        )
        expect(world.sidecar!.logs.slice(from).join('\n')).to.not.match(/^\S+ error /m)
    })

    it('is finished by the next sidecar when this one dies with the coordinator, from what is on disk', async () => {
        const id = await heldCommit()
        await own.stop('immediate')
        await world.sidecar!.kill()
        b.resetAll()
        await b.restore()
        expect(await preparedOn('b')).to.equal(1)
        await own.start()
        const sidecar = await world.startSidecar()
        expect(sidecar.logs.find((line) => line.includes('state directory read'))).to.match(/ sets=1$/)
        await until('the coordinator knows', async () => ((await outcome(id)) as { complete: boolean }).complete)
        expect(await preparedOn('b')).to.equal(0)
    })

    it('is finished from the commit records when the state directory was emptied meanwhile', async () => {
        const id = await heldCommit()
        const sidecar = world.sidecar!
        await sidecar.kill()
        for (const name of readdirSync(world.stateDir)) if (name.startsWith('state-')) rmSync(join(world.stateDir, name))
        b.resetAll()
        await b.restore()
        const next = await world.startSidecar()
        expect(next.logs.find((line) => line.includes('state directory read'))).to.match(/ sets=0$/)
        await until('the coordinator knows', async () => ((await outcome(id)) as { complete: boolean }).complete)
        expect(await preparedOn('b')).to.equal(0)
    })
})
