import type { Client } from 'pg'
import { onNode, type Place } from './betweensets'
import { markOf } from './marks'

/** A server at a restore point. */
export interface PointServer {
    readonly node: string
    /** Null: the coordinator. */
    readonly number: number | null
    readonly lsn: string
    readonly timeline: string
    readonly system_identifier: string
    /** By the server's clock, right after it. */
    readonly at: string
    readonly archiving: boolean
    /** Of a node: an xid that it handed out before the restore point, and one that it handed out after it. */
    readonly xid_before?: string
    readonly xid_after?: string
}

export interface Facts {
    readonly login: string
    readonly may: boolean
    readonly standby: boolean
    /** Null: of a standby. */
    readonly timeline: string | null
    readonly wal_level: string
    readonly archiving: boolean
    readonly system_identifier: string
}

export interface Site extends Facts {
    readonly name: string
    readonly client: Client
}

export interface NodeSite extends Site, Place {}

const WRITE =
    'select lsn::text, left(pg_walfile_name(lsn), 8) as timeline, clock_timestamp()::text as at from pg_create_restore_point($1) as lsn'
const XID = 'select pg_current_xact_id()::text as xid'

export interface Writing {
    /** Its id. */
    readonly coordinator: string
    /** Of the restore point. */
    readonly id: string
    readonly name: string
    readonly by: string
}

/** Steps 1 to 4 of restorepoints.ts, with the gate closed. */
export async function write(
    { coordinator: own, id, name, by }: Writing,
    { coordinator, nodes }: { readonly coordinator: Site; readonly nodes: readonly NodeSite[] }
): Promise<readonly PointServer[]> {
    const numbers = nodes.map(({ keeper }) => keeper.node.address.number)
    await coordinator.client.query('select pglobalxact._begin_restore_point($1, $2, $3, $4)', [id, name, by, numbers])
    const gidAt = (at: number): string => markOf({ coordinator: own, id }, numbers[at]!, nodes[at]!.timeline!)
    const before = await Promise.all(nodes.map((site, at) => onNode(site.name, mark(site.client, gidAt(at)))))
    const [here, ...there] = await Promise.all([point(coordinator, name), ...nodes.map((site) => onNode(site.name, point(site, name)))])
    const after = await Promise.all(nodes.map((site, at) => onNode(site.name, unmark(site.client, gidAt(at)))))
    return [
        { ...here!, number: null },
        ...there.map((one, at) => ({ ...one, number: numbers[at]!, xid_before: before[at]!, xid_after: after[at]! }))
    ]
}

async function mark(client: Client, gid: string): Promise<string> {
    await client.query('begin')
    const { rows } = await client.query<{ xid: string }>(XID)
    const { command } = await client.query(`prepare transaction '${gid}'`)
    if (command !== 'PREPARE') throw new Error(`its mark could not be prepared: the answer was ${command}`)
    return rows[0]!.xid
}

async function point({ client, name: node, system_identifier, archiving }: Site, name: string): Promise<Omit<PointServer, 'number'>> {
    const { rows } = await client.query<Pick<PointServer, 'lsn' | 'timeline' | 'at'>>(WRITE, [name])
    return { node, ...rows[0]!, system_identifier, archiving }
}

/** The record that it is rolled back is flushed, and with it the restore point before it. */
async function unmark(client: Client, gid: string): Promise<string> {
    const { rows } = await client.query<{ xid: string }>(XID)
    await client.query(`rollback prepared '${gid}'`)
    return rows[0]!.xid
}
