import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeAddress } from './nodeoptions'
import { connectToNode, destroy } from './session'
import { nodeSql } from './sqlfiles'

const END_SESSIONS = nodeSql('end_sessions')
const AGAIN = 50 // ms
const TRIES = 40

export interface PointKey {
    readonly coordinator: string
    /** Of the restore point. */
    readonly id: string
}

/** The gid by which a node tells that it was restored to a restore point. Not of the form of a branch's: no rule decides it. */
export const markOf = ({ coordinator, id }: PointKey, node: number): string => `pgxr_${coordinator}_${id}_${node}`

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
        const gid = markOf(key, address.number)
        const { rows } = await client.query('select from pg_prepared_xacts p where p.gid = $1 and p.database = current_database()', [gid])
        if (rows.length > 0) await client.query(`rollback prepared '${gid}'`)
    } finally {
        destroy(client)
    }
}
