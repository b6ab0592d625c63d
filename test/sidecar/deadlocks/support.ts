/** What the tests of deadlocks share: sets that wait for one another. */
import type { Client } from 'pg'
import { fillAccounts, value } from '../../support/refused'
import { until } from '../../support/wait'
import { World, type WorldOptions } from '../../support/world'

export interface Wait {
    readonly place: string
    readonly waiter: string
    readonly waits_for: string
    readonly lock: string
    readonly waiter_is: string
    readonly blocker_is: string
}

export interface Stuck extends Wait {
    readonly cycle: number
    readonly victim: boolean
}

export interface Counts {
    readonly mode: string
    readonly looks: number
    readonly queries: number
    readonly found: number
    readonly cancelled: number
}

/** How a statement that had to wait ended: undefined, or its error. */
export type Ending = Promise<(Error & { readonly code?: string; readonly detail?: string; readonly hint?: string }) | undefined>

/** The search looks every "patience" (deadlock_timeout, of the sidecar's login alone). */
export async function deadlockWorld(options: WorldOptions, patience: string): Promise<World> {
    const world = await World.create(options)
    await world.sql(`alter role pglobalxact in database ${world.database} set deadlock_timeout = '${patience}'`)
    await world.sidecar!.stop()
    await world.startSidecar()
    await world.nodesReached()
    for (const node of world.nodes.keys()) await world.node(node, 'insert into account select id, 1000 from generate_series(2, 9) id')
    await world.sql('insert into account select id, 1000 from generate_series(2, 9) id')
    return world
}

/** For the top of a describe: a world of its own, everything off and at rest before each test. */
export function deadlocks(name: string, ready: (world: World) => void, options: Partial<WorldOptions> = {}, patience = '150ms') {
    let world: World
    const clients: Client[] = []

    before(async () => {
        world = await deadlockWorld({ name, ...options }, patience)
        ready(world)
    })
    after(() => world?.destroy())
    beforeEach(() => fillAccounts(world))
    afterEach(async () => {
        await watch('off')
        // After a failure some may wait for ever, and so would their end.
        const busy =
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'test' and pid <> pg_backend_pid() and state = 'active'"
        await Promise.all([world.sql(busy), ...[...world.nodes.keys()].map((node) => world.node(node, busy))])
        await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)))
        await world.settled()
        await until('no session of a set is left', async () => (await waits()).length === 0)
    })

    const keep = async (client: Promise<Client>): Promise<Client> => {
        clients.push(await client)
        return client
    }
    const waits = () => world.admin<Wait & Record<string, unknown>>('select * from pglobalxact.lock_waits()')
    const stuck = () => world.admin<Stuck & Record<string, unknown>>('select * from pglobalxact.deadlocks()')
    const watch = (mode: string) => world.admin('select pglobalxact.detect_deadlocks($1)', [mode])
    const counts = async () =>
        (
            await world.sql<Counts & Record<string, unknown>>(
                'select mode, looks::int, queries::int, found::int, cancelled::int from pglobalxact.deadlock_watch'
            )
        )[0]!

    const begin = async (): Promise<Client> => {
        const client = await keep(world.connect())
        await client.query('begin')
        return client
    }
    const lock = (row: number) => `update account set balance = balance + 1 where id = ${row}`
    /** Takes a row, on a node or ("a") locally. */
    const take = (client: Client, place: string, row = 1) =>
        place === 'a' ? client.query(lock(row)) : client.query('select pglobalxact.exec($1, $2)', [place, lock(row)])
    const ending = (statement: Promise<unknown>): Ending =>
        statement.then(
            () => undefined,
            (error: Error) => error
        )
    const idOf = async (client: Client): Promise<string> => String(await value(client, 'select pglobalxact.set_id()'))
    /** The same, and returns once it waits: there are so many waits then. */
    async function wait(statement: Promise<unknown>, inAll: number): Promise<{ readonly ending: Ending }> {
        const end = ending(statement)
        await until(`${inAll} wait`, async () => (await waits()).length >= inAll)
        return { ending: end }
    }
    return { keep, waits, stuck, watch, counts, begin, take, wait, ending, idOf }
}
