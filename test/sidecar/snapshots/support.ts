/** What an export gives, and looking through it. */
import type { Client } from 'pg'
import type { Cluster } from '../../support/cluster'
import { until } from '../../support/wait'
import type { World } from '../../support/world'

export interface Exported extends Record<string, unknown> {
    readonly export: string
    readonly node: string
    readonly snapshot: string
    readonly held_ms: number
}

export const exported = (world: World, order: string): Promise<Exported[]> =>
    world.admin<Exported>(
        `select export, node, snapshot, (extract(epoch from held) * 1000)::float8 as held_ms from pglobalxact.export_snapshots(${order})`
    )

const clusterOf = (world: World, { node }: Exported): Cluster => world.nodes.get(node) ?? world.coordinator

/** Rows of one query in a transaction of its own that uses the snapshot. */
export async function readAt<R extends Record<string, unknown>>(world: World, one: Exported, sql: string): Promise<R[]> {
    const client = await clusterOf(world, one).connect({ database: world.database })
    try {
        await client.query('begin isolation level repeatable read')
        await client.query(`set transaction snapshot '${one.snapshot}'`)
        return (await client.query<R>(sql)).rows
    } finally {
        await client.end()
    }
}

/** Over all servers, each through its snapshot. */
export async function sumAt(
    world: World,
    all: readonly Exported[],
    sql = 'select balance as n from account where id = 1'
): Promise<bigint> {
    const parts = await Promise.all(all.map((one) => readAt<{ n: string }>(world, one, sql)))
    return parts.reduce((sum, [row]) => sum + BigInt(row!.n), 0n)
}

/** By the product's own function, in a session of the test's: it holds up commits until openGate. */
export async function closeGate(world: World): Promise<Client> {
    const client = await world.coordinator.connect({ database: world.database })
    await client.query('begin')
    await client.query("select pglobalxact._close_gate('1 minute')")
    return client
}

export async function openGate(client: Client): Promise<void> {
    await client.query('rollback')
    await client.end()
}

export const waitingAtGate = (world: World, sessions: number): Promise<unknown> =>
    until(
        `${sessions} commits wait at the gate`,
        async () =>
            (
                await world.sql(
                    "select from pg_locks where relation = 'pglobalxact.gate'::regclass and mode = 'RowShareLock' and not granted"
                )
            ).length === sessions
    )

/** The sidecar waits for a commit under way: it has not got the gate yet. */
export const gateIsAsked = (world: World): Promise<unknown> =>
    until(
        'the gate waits for a commit',
        async () =>
            (
                await world.sql(
                    "select from pg_locks where locktype = 'advisory' and classid = any (pglobalxact._lock_keys('committing')) and mode = 'ExclusiveLock' and not granted"
                )
            ).length > 0
    )

/** The servers have no session of the sidecar's any more that holds a snapshot. */
export const nothingHeld = (world: World): Promise<unknown> =>
    until('no snapshot is held', async () => {
        const like =
            "select from pg_stat_activity where application_name ~ '^pglobalxact (sidecar .)?snapshots ' and datname = current_database()"
        const all = [world.sql(like), ...[...world.nodes.keys()].map((node) => world.node(node, like))]
        return (await Promise.all(all)).flat().length === 0
    })
