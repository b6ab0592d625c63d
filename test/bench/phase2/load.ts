/** Sessions that run sets without pause. One set changes a row on every server, and hardly ever waits for another's locks. */
import type { Client } from 'pg'
import { PASSWORDS, type World } from '../../support/world'
import { ROWS } from './ground'

export type Way = 'exec' | 'enlist'

/** One set from BEGIN to the answer of COMMIT. */
type Set = (change: (by: number) => string) => Promise<void>

let last = 0

const update = (): ((by: number) => string) => {
    const row = 2 + Math.floor(Math.random() * ROWS)
    return (by) => `update account set balance = balance + ${by} where id = ${row}`
}

/** No set waits for another, however many are not finished. */
const insert = (): ((by: number) => string) => {
    const row = 1_000_000 + ++last
    return () => `insert into account values (${row}, 0)`
}

export class Sessions {
    private constructor(
        private readonly sets: readonly Set[],
        private readonly clients: readonly Client[]
    ) {}

    static async open(world: World, count: number, way: Way): Promise<Sessions> {
        const clients: Client[] = []
        const connect = async (): Promise<Client> => {
            const client = await world.coordinator.connect(world.login('app'))
            clients.push(client)
            return client
        }
        const enlisting = async (): Promise<Set> => {
            const nodes: (readonly [string, Client])[] = []
            const local = await connect()
            for (const [name, cluster] of world.nodes) {
                const client = await cluster.connect({ database: world.database, user: 'node_app', password: PASSWORDS.node_app })
                clients.push(client)
                nodes.push([name, client])
            }
            return (change) => enlist(local, nodes, change)
        }
        const sets: Set[] = []
        for (let n = 0; n < count; n++) {
            if (way === 'enlist') sets.push(await enlisting())
            else {
                const client = await connect()
                sets.push((change) => exec(client, [...world.nodes.keys()], change))
            }
        }
        return new Sessions(sets, clients)
    }

    /** Sets committed per second, in about so many milliseconds. */
    async run(milliseconds: number): Promise<{ readonly sets: number; readonly rate: number }> {
        const began = performance.now()
        let done = 0
        const session = async (set: Set): Promise<void> => {
            while (performance.now() - began < milliseconds) {
                await set(update())
                done += 1
            }
        }
        await Promise.all(this.sets.map(session))
        return { sets: done, rate: (done / (performance.now() - began)) * 1000 }
    }

    /** So many sets in all, that may all stay unfinished. */
    async commit(count: number): Promise<void> {
        let left = count
        await Promise.all(
            this.sets.map(async (set) => {
                while (left-- > 0) await set(insert())
            })
        )
    }

    async close(): Promise<void> {
        await Promise.all(this.clients.map((client) => client.end()))
    }
}

/** One round trip: what is measured is not the client. */
async function exec(client: Client, nodes: readonly string[], change: (by: number) => string): Promise<void> {
    const steps = nodes.map((node) => `select pglobalxact.exec('${node}', '${change(1)}')`)
    await client.query(['begin', change(-nodes.length), ...steps, 'commit'].join('; '))
}

async function enlist(local: Client, nodes: readonly (readonly [string, Client])[], change: (by: number) => string): Promise<void> {
    const gids = nodes.map(([node]) => `pglobalxact.enlist('${node}')`)
    const answers = (await local.query(`begin; ${change(-nodes.length)}; select array[${gids.join(', ')}] as gids`)) as unknown as {
        rows: { gids: string[] }[]
    }[]
    const found = answers.at(-1)!.rows[0]!.gids
    await Promise.all(nodes.map(([, client], n) => client.query(`begin; ${change(1)}; prepare transaction '${found[n]!}'`)))
    await local.query('commit')
}
