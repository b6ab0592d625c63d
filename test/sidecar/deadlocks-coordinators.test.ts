import { expect } from 'chai'
import type { Client } from 'pg'
import { until } from '../support/wait'
import { World } from '../support/world'
import { deadlocks, type Counts, type Ending } from './deadlocks/support'

const BUSY =
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'test' and state = 'active' and pid <> pg_backend_pid()"

describe('a deadlock between sets of two coordinators that share their nodes', () => {
    let one: World
    let two: World
    /** Who cancels first, by the order of their ids, and who would be the next. */
    let first: World
    let next: World

    // Before those of the sets' own world: a session that waits for ever would never be closed.
    afterEach(async () => {
        await two.admin("select pglobalxact.detect_deadlocks('off')")
        await two.sql(BUSY)
    })
    // As long a look as by default: a node that is slow on a busy machine is not left out of it.
    const { keep, wait, take, ending, idOf: setOf } = deadlocks('two_one', (ready) => (one = ready), {}, '1s')

    before(async () => {
        two = await World.create({ name: 'two_other', nodes: [] })
        for (const [name, cluster] of one.nodes) {
            await two.createServer(name, cluster, one.database)
            await two.admin(`select * from pglobalxact.add_node('${name}')`)
        }
        const [a, b] = await Promise.all([one, two].map(idOf))
        ;[first, next] = a! < b! ? [one, two] : [two, one]
    })
    // The nodes' databases are the first one's, and go after this.
    after(() => two?.destroy())

    const idOf = async (world: World): Promise<string> => String((await world.sql('select id from pglobalxact.coordinator'))[0]!['id'])
    const detect = (world: World, mode: string) => world.admin('select pglobalxact.detect_deadlocks($1)', [mode])
    const counts = async (world: World): Promise<Counts> =>
        (await world.sql<Counts & Record<string, unknown>>('select found::int, cancelled::int from pglobalxact.deadlock_watch'))[0]!
    const begin = async (world: World): Promise<Client> => {
        const client = await keep(world.connect())
        await client.query('begin')
        return client
    }
    const victims = (world: World) =>
        world.sql<{ set_id: string; detail: string }>(
            "select set_id, detail from pglobalxact.event where kind = 'deadlock victim' order by id"
        )
    /** History is written behind the cancel. */
    const victimOf = async (world: World, set: string): Promise<string> =>
        (await until('it is in history', async () => (await victims(world)).find(({ set_id }) => set_id === set))).detail

    interface Crossed {
        readonly clients: readonly [Client, Client]
        readonly ids: readonly [string, string]
        readonly endings: readonly [Ending, Ending]
    }

    /** The second to begin closes the cycle. */
    async function cross(worlds: readonly [World, World]): Promise<Crossed> {
        const clients = [await begin(worlds[0]), await begin(worlds[1])] as const
        await take(clients[0], 'b')
        await take(clients[1], 'c')
        const ids = [await setOf(clients[0]), await setOf(clients[1])] as const
        const waits = await wait(take(clients[0], 'c'), 1)
        return { clients, ids, endings: [waits.ending, ending(take(clients[1], 'b'))] }
    }
    async function commits(client: Client): Promise<void> {
        await client.query('commit')
        expect((await client.query('select pglobalxact.await() as fate')).rows).to.deep.equal([{ fate: 'committed' }])
    }

    for (const [title, order] of [
        ['older', () => [first, next]],
        ['younger', () => [next, first]]
    ] as const) {
        it(`is ended once where both would: by the coordinator whose id comes first, though its set be the ${title}`, async () => {
            const before = [await counts(first), await counts(next)]
            await Promise.all([detect(first, 'resolve'), detect(next, 'resolve')])
            const worlds = order() as [World, World]
            const { clients, ids, endings } = await cross(worlds)
            const at = worlds.indexOf(first)
            expect(await endings[at]).to.include({ code: '40P01' })
            expect(await endings[1 - at]).to.equal(undefined)
            await clients[at]!.query('rollback')
            await commits(clients[1 - at]!)
            expect(await one.balances().then(({ b, c }) => [b, c])).to.deep.equal([1001, 1001])
            expect(await victimOf(first, ids[at]!)).to.include(`waits for coordinator ${await idOf(next)} pid `)
            await until('it is counted', async () => (await counts(first)).cancelled === before[0]!.cancelled + 1)
            expect((await counts(next)).cancelled).to.equal(before[1]!.cancelled)
            expect(await victims(next)).to.deep.equal([])
        })
    }

    it('is ended by the next one where the first does no more than report it', async () => {
        await Promise.all([detect(first, 'report'), detect(next, 'resolve')])
        const { clients, ids, endings } = await cross([next, first])
        expect(await endings[0]).to.include({ code: '40P01' })
        expect(await endings[1]).to.equal(undefined)
        await clients[0].query('rollback')
        await commits(clients[1])
        await victimOf(next, ids[0])
        expect((await victims(first)).filter(({ set_id }) => set_id === ids[1])).to.deep.equal([])
    })

    it('costs the youngest of the sets that its coordinator has in it', async () => {
        await Promise.all([detect(first, 'resolve'), detect(next, 'resolve')])
        // Older, other coordinator's, younger: b2 -> c2 -> b3 -> b2.
        const older = await begin(first)
        await take(older, 'b', 2)
        const other = await begin(next)
        await take(other, 'c', 2)
        const younger = await begin(first)
        await take(younger, 'b', 3)
        const waits = [await wait(take(older, 'c', 2), 1), await wait(take(other, 'b', 3), 2)] as const
        expect(await ending(take(younger, 'b', 2))).to.include({ code: '40P01' })
        expect(await waits[1].ending).to.equal(undefined)
        await commits(other)
        expect(await waits[0].ending).to.equal(undefined)
        await commits(older)
    })
})
