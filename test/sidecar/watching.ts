/** What the tests of watched nodes share. */
import type { Client } from 'pg'
import { startCluster, type Cluster, type Settings } from '../support/cluster'
import { until } from '../support/wait'
import { PASSWORDS, type World } from '../support/world'

/** From here on pgoutput decodes prepared transactions, of tables that are published; before, test_decoding those of all. */
export const PUBLISHING = 150000

export const logicalCluster = (name: string, settings: Settings = {}): Promise<Cluster> =>
    startCluster({ name, settings: { wal_level: 'logical', logical_decoding_work_mem: '64kB', ...settings } })

/** What a DBA does on a node before it can be watched. */
export async function allowWatching(world: World, ...nodes: readonly string[]): Promise<void> {
    for (const node of nodes) {
        await world.node(node, 'alter role node_sidecar replication')
        await world.node(node, 'create publication pglobalxact for all tables')
    }
}

export interface Watched extends Record<string, unknown> {
    readonly node: string
    readonly state: string
    readonly message: string | null
    readonly remade: number
}

export const watched = async (world: World, node: string): Promise<Watched | undefined> =>
    (await world.sql<Watched>('select * from pglobalxact.watched() where node = $1', [node]))[0]

export const streams = (world: World, node: string): Promise<unknown> =>
    until(`${node} is streamed`, async () => {
        const row = await watched(world, node)
        if (row?.state !== 'streaming') throw new Error(JSON.stringify(row))
        return true
    })

export interface FeedRow extends Record<string, unknown> {
    readonly node: string
    readonly lsn: string
    readonly at: Date
    readonly event: string
    readonly set_id: string | null
    readonly gid: string | null
    readonly changed: string | null
}

/** The feed's lines of a set, or of a gid, once they are at least so many. */
export const feedOf = (world: World, what: string, least: number): Promise<FeedRow[]> =>
    until(`the feed has ${least} lines of ${what}`, async () => {
        const rows = await world.sql<FeedRow>('select * from pglobalxact.feed() where $1 in (set_id, gid)', [what])
        if (rows.length < least) throw new Error(JSON.stringify(rows))
        return rows
    })

export interface Branch {
    readonly id: string
    readonly gid: string
}

/** A branch that is prepared by a program's own connection, while the local transaction of its set stays open. */
export async function prepareOn(world: World, node: string, local: Client, ...statements: readonly string[]): Promise<Branch> {
    await local.query('begin')
    const { rows } = await local.query<Branch>(`select gid, pglobalxact.set_id() as id from pglobalxact.enlist('${node}') as gid`)
    const { gid } = rows[0]!
    const client = await world.nodes.get(node)!.connect({ database: world.database, user: 'node_app', password: PASSWORDS.node_app })
    try {
        await client.query('begin')
        for (const statement of statements) await client.query(statement)
        await client.query(`prepare transaction '${gid}'`)
    } finally {
        await client.end()
    }
    const { id } = (await local.query<{ id: string }>('select pglobalxact.set_id() as id')).rows[0]!
    return { id, gid }
}
