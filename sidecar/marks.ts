import { setTimeout as sleep } from 'node:timers/promises'
import type { Node } from './node'
import type { NodeAddress } from './nodeoptions'
import { connectToNode, destroy } from './session'
import { nodeSql } from './sqlfiles'

const END_SESSIONS = nodeSql('end_sessions')
const LEFT_MARKS = nodeSql('left_marks')
const AGAIN = 50 // ms
const TRIES = 40

export interface PointKey {
    readonly coordinator: string
    /** Of the restore point. */
    readonly id: string
}

/**
 * The gid by which a node tells that it was restored to a restore point. Not of the form of a branch's: no rule decides it. With the time
 * line on which it is prepared: as long as the node is on that one, it was not restored, and the mark was left behind (sql/node/left_marks.sql).
 */
export const markOf = (key: PointKey, node: number, timeline: string): string => `${anyMarkOf(key, node)}${timeline}`

const anyMarkOf = ({ coordinator, id }: PointKey, node: number): string => `pgxr_${coordinator}_${id}_${node}_`

/** What the sessions that make the marks are called. */
export const sessionNameOf = ({ coordinator, id }: PointKey): string => `pglobalxact restore point ${id} of ${coordinator}`

/**
 * Rolls the mark back, if the node has it. The session that was to make it may still live there, with its PREPARE under way: unless
 * that is ended first the mark could come after this look. Throws when it is not known to be gone.
 */
export async function removeMark(address: NodeAddress, key: PointKey, timeout: number): Promise<void> {
    const client = await connectToNode(address, { name: 'pglobalxact restore point', timeout })
    try {
        for (let tries = 0; ; tries++) {
            const { rows } = await client.query<{ ended: number }>(END_SESSIONS, [sessionNameOf(key)])
            if (rows[0]!.ended === 0) break
            if (tries === TRIES) throw new Error('a session that was to write a restore point does not end')
            await sleep(AGAIN)
        }
        const { rows } = await client.query<{ gid: string }>(
            'select p.gid from pg_prepared_xacts p where starts_with(p.gid, $1) and p.database = current_database()',
            [anyMarkOf(key, address.number)]
        )
        for (const { gid } of rows) await client.query(`rollback prepared '${gid}'`)
    } finally {
        destroy(client)
    }
}

/**
 * Removes what restore points left on a node of which the coordinator may know nothing: it failed over while one was written, and the new
 * primary has not heard of it, or cannot tell it from one that it was restored to. Asked on the session that holds the fence: nobody
 * else is at work there for this coordinator, and a session that still lives is ended before its PREPARE is looked for.
 */
export async function removeLeft(node: Node, coordinator: string, timeout: number): Promise<void> {
    for (const { id } of await node.look<{ id: string }>(LEFT_MARKS, [coordinator, node.address.number]))
        await removeMark(node.address, { coordinator, id }, timeout)
}
