/** Thousands of sets in doubt over two nodes, made in seconds: what a coordinator leaves that died under load, with its sidecar. */
import type { Client } from 'pg'
import type { Cluster } from '../../support/cluster'
import { PASSWORDS, type World } from '../../support/world'

export interface Branch {
    readonly gid: string
    readonly commit: boolean
}

interface Keys {
    readonly coordinator: string
    readonly ids: readonly string[]
}

const SESSIONS = 16 // per node, so that the prepares share their fsyncs

const app = (world: World): { readonly database: string; readonly user: string; readonly password: string } => ({
    database: world.database,
    user: 'node_app',
    password: PASSWORDS.node_app
})

/** Tables that the branches write to, and a coordinator that knows its nodes. The sidecar is stopped. */
export async function prepareTables(world: World): Promise<void> {
    for (const name of world.nodes.keys()) await world.node(name, 'create table moved (set int, at int); grant all on moved to node_app')
    await world.sql('select pglobalxact._record_server_start()')
    // Every set has an xid of its own, as its local transaction had.
    await world.sql(`
        create procedure burn(how_many int, inout ids text[]) language plpgsql as $$
        declare id xid8;
        begin
            ids := '{}';
            for i in 1 .. how_many loop
                id := pg_current_xact_id();
                ids := ids || (id || '_' || pglobalxact._nonce((select c.id from pglobalxact.coordinator c), id, pg_postmaster_start_time()));
                commit;
            end loop;
        end $$`)
}

async function keys(world: World, count: number): Promise<Keys> {
    const [coordinator] = await world.sql<{ id: string }>('select id from pglobalxact.coordinator')
    const ids: string[] = []
    while (ids.length < count) {
        // In portions: an array that grows by one element is copied each time.
        const [row] = await world.sql<{ ids: string[] }>(`call burn(${Math.min(500, count - ids.length)}, null)`)
        ids.push(...row!.ids)
    }
    return { coordinator: coordinator!.id, ids }
}

async function inParallel(
    clients: readonly Client[],
    count: number,
    work: (client: Client, index: number) => Promise<void>
): Promise<void> {
    let next = 0
    await Promise.all(
        clients.map(async (client) => {
            for (let index = next++; index < count; index = next++) await work(client, index)
        })
    )
}

/** Prepares one transaction per gid; returns the xid8 of each. */
async function prepare(cluster: Cluster, world: World, gids: readonly string[]): Promise<readonly string[]> {
    const clients = await Promise.all(Array.from({ length: SESSIONS }, () => cluster.connect(app(world))))
    const xids: string[] = []
    await inParallel(clients, gids.length, async (client, index) => {
        const text = `begin; insert into moved values (${index}, 0); select pg_current_xact_id()::text as xid; prepare transaction '${gids[index]}'`
        const results = (await client.query(text)) as unknown as readonly { readonly rows: readonly { readonly xid: string }[] }[]
        xids[index] = results[2]!.rows[0]!.xid
    })
    await Promise.all(clients.map((client) => client.end()))
    return xids
}

export const odd = (index: number): boolean => index % 2 === 1

/** Those that are to commit have their commit record, as _prepare_set leaves it; the others' local transactions are over without one. */
export async function makeInDoubt(world: World, count: number, commits = odd): Promise<void> {
    const committed = <T>(all: readonly T[]): T[] => all.filter((_, index) => commits(index))
    const { coordinator, ids } = await keys(world, count)
    await Promise.all(
        [...world.nodes.values()].map(async (cluster, index) => {
            const node = index + 1
            const xids = await prepare(
                cluster,
                world,
                ids.map((id) => `pgx_${coordinator}_${id}_${node}`)
            )
            await recordBranches(world, node, committed(ids), committed(xids))
        })
    )
    await asReplica(
        world,
        `insert into pglobalxact.commit_record (xid, nonce, role, application_name)
         select split_part(id, '_', 1)::xid8, split_part(id, '_', 2), 'app', 'bench' from unnest($1::text[]) id`,
        [committed(ids)]
    )
    await world.sql('analyze')
}

async function recordBranches(world: World, node: number, ids: readonly string[], xids: readonly string[]): Promise<void> {
    await asReplica(
        world,
        `insert into pglobalxact.branch_record (xid, nonce, node, kind, branch_xid, timeline, owner)
         select split_part(id, '_', 1)::xid8, split_part(id, '_', 2), ${node}, 'exec', x::xid8, '00000001', 'node_app'
         from unnest($1::text[], $2::text[]) as t (id, x)`,
        [ids, xids]
    )
}

/** The trigger of commit_record would prepare what it finds: here it is prepared already. */
async function asReplica(world: World, text: string, values: readonly unknown[]): Promise<void> {
    const client = await world.coordinator.connect({ database: world.database })
    try {
        await client.query('set session_replication_role = replica')
        await client.query(text, [...values])
    } finally {
        await client.end()
    }
}

/** The same branches under gids that are no coordinator's, for the bare loop. */
export async function makeBare(world: World, count: number): Promise<ReadonlyMap<Cluster, readonly Branch[]>> {
    const all = await Promise.all(
        [...world.nodes.values()].map(async (cluster, node) => {
            const branches = Array.from({ length: count }, (_, index) => ({
                gid: `bare_12345678_${index}_9abcdef0_${node}`,
                commit: index % 2 === 1
            }))
            await prepare(
                cluster,
                world,
                branches.map(({ gid }) => gid)
            )
            return [cluster, branches] as const
        })
    )
    return new Map(all)
}
