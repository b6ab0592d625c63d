/** Phase two of sets that all wait, against a bare loop of COMMIT PREPAREDs on the same nodes. */
import { Client } from 'pg'
import { until } from '../../support/wait'
import { PASSWORDS, type World } from '../../support/world'
import { Sessions } from './load'

const LOOK = 100 // ms between looks whether all is finished
const FLIGHT = 32 // statements under way per connection of the bare loop

/** COMMIT PREPAREDs per second over both nodes: branches of sets that were decided while the sidecar stood still. */
export async function bySidecar(world: World, sets: number): Promise<number> {
    const load = await Sessions.open(world, 32, 'exec')
    await load.commit(100)
    await world.settled()
    world.sidecar!.pause()
    try {
        await load.commit(sets)
    } finally {
        await load.close()
    }
    const began = Date.now()
    world.sidecar!.resume()
    // Not by what is on the books: to read thousands of sets again and again takes a processor. The bare loop knows by itself when it is done.
    await until(
        'nothing is prepared',
        async () => (await Promise.all([...world.nodes.keys()].map((name) => free(world, name)))).every(Boolean),
        {
            everyMs: LOOK
        }
    )
    await world.settled()
    const ends: number[] = []
    for (const name of world.nodes.keys()) {
        const number = `(select n.number from pglobalxact.node n where n.name = '${name}')`
        const branches = await world.sql<{ xid: string }>(
            `select b.branch_xid::text as xid from pglobalxact.branch_record b where b.node = ${number} order by b.xid desc limit $1`,
            [sets]
        )
        const [row] = await world.node<{ at: number }>(
            name,
            'select max(extract(epoch from pg_xact_commit_timestamp(x::xid)) * 1000)::float8 as at from unnest($1::text[]) x',
            [branches.map(({ xid }) => xid)]
        )
        ends.push(row!.at)
    }
    return (sets * world.nodes.size * 1000) / (Math.max(...ends) - began)
}

const free = async (world: World, name: string): Promise<boolean> =>
    (await world.node(name, 'select from pg_prepared_xacts limit 1')).length === 0

/** The same by a loop that does nothing else: as many connections per node, pipelined. */
export async function bare(world: World, sets: number, connections: number): Promise<number> {
    const gids = await prepare(world, sets)
    const lanes = await Promise.all([...gids].map(async ([name, all]) => ({ all, clients: await open(world, name, connections) })))
    const began = performance.now()
    await Promise.all(
        lanes.flatMap(({ all, clients }) =>
            clients.map(async (client, n) => {
                const mine = all.filter((_, index) => index % connections === n)
                let next = 0
                const loop = async (): Promise<void> => {
                    while (next < mine.length) await client.query(`commit prepared '${mine[next++]!}'`)
                }
                await Promise.all(Array.from({ length: FLIGHT }, loop))
            })
        )
    )
    const took = performance.now() - began
    await Promise.all(lanes.flatMap(({ clients }) => clients.map((client) => client.end())))
    return (sets * gids.size * 1000) / took
}

async function open(world: World, name: string, count: number): Promise<Client[]> {
    const { host, port } = world.nodes.get(name)!
    const clients = Array.from(
        { length: count },
        () => new Client({ host, port, database: world.database, user: 'node_app', password: PASSWORDS.node_app, pipeline: true })
    )
    await Promise.all(clients.map((client) => client.connect()))
    return clients
}

/** As many branches as the sets would have, by the same role, each with one row changed. */
async function prepare(world: World, sets: number): Promise<ReadonlyMap<string, readonly string[]>> {
    const gids = new Map<string, readonly string[]>()
    for (const name of world.nodes.keys()) {
        const clients = await open(world, name, 8)
        await world.node(name, 'create sequence if not exists bare; grant usage on sequence bare to node_app')
        const all = Array.from({ length: sets }, (_, n) => `bare_${n}`)
        await Promise.all(
            clients.map(async (client, n) => {
                for (const gid of all.filter((_, index) => index % clients.length === n))
                    await client.query(`begin; insert into account values (-nextval('bare'), 0); prepare transaction '${gid}'`)
            })
        )
        await Promise.all(clients.map((client) => client.end()))
        gids.set(name, all)
    }
    return gids
}
