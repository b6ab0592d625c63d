/** What settling costs the servers themselves: COMMIT PREPARED and ROLLBACK PREPARED as fast as one program can send them. */
import { Client } from 'pg'
import type { Cluster } from '../../support/cluster'
import { PASSWORDS, type World } from '../../support/world'
import type { Branch } from './indoubt'

const CONNECTIONS = 4 // per node, as many as the sidecar's default
const IN_FLIGHT = 32 // per connection

async function open(world: World, cluster: Cluster): Promise<Client> {
    const login = { host: cluster.host, port: cluster.port, database: world.database, user: 'node_app', password: PASSWORDS.node_app }
    const client = new Client({ ...login, pipeline: true } as ConstructorParameters<typeof Client>[0])
    await client.connect()
    return client
}

/** Connections are open before the clock starts: the sidecar, which opens its own behind it, has only itself to blame. */
export async function bareLoop(world: World, all: ReadonlyMap<Cluster, readonly Branch[]>): Promise<() => Promise<void>> {
    const lanes = await Promise.all(
        [...all].flatMap(([cluster, branches]) => {
            const queue = [...branches].reverse()
            return Array.from({ length: CONNECTIONS }, async () => ({ client: await open(world, cluster), queue }))
        })
    )
    return async () => {
        await Promise.all(lanes.map(({ client, queue }) => drain(client, queue)))
        await Promise.all(lanes.map(({ client }) => client.end()))
    }
}

async function drain(client: Client, queue: Branch[]): Promise<void> {
    const one = async (): Promise<void> => {
        for (let branch = queue.pop(); branch !== undefined; branch = queue.pop())
            await client.query(`${branch.commit ? 'COMMIT' : 'ROLLBACK'} PREPARED '${branch.gid}'`)
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, one))
}
