import type { Catalog } from './catalog'
import type { Journal } from './journal'
import type { Log } from './log'
import { describeFailure, type Node, type RemoteSession } from './node'

interface Parts {
    readonly log: Log
    readonly journal: Pick<Journal, 'note'>
}

/**
 * Remote transactions whose local transaction is over (no SQL hook fires at a local ROLLBACK): seen on the node first,
 * then missing among the sets in flight on the coordinator. Ended only if the session is in that same transaction.
 * Returns how many were.
 */
export async function endOrphans(
    node: Node,
    catalog: Catalog,
    sessions: readonly RemoteSession[],
    { log, journal }: Parts
): Promise<number> {
    const names = sessions.map((session) => session.name)
    const orphaned = new Set(await catalog.orphaned(node.address.number, names))
    let ended = 0
    for (const session of sessions) {
        if (!orphaned.has(session.name)) continue
        const about = { node: node.address.name, pid: session.pid }
        try {
            if (!(await node.endSession(session))) continue
            ended += 1
            log.info('ended a remote session whose local transaction is over', about)
            journal.note('ended a session', `pid ${session.pid}: its local transaction is over`, { node: node.address.number })
        } catch (error) {
            log.warning('cannot end a remote session whose local transaction is over', { ...about, error: describeFailure(error).message })
        }
    }
    return ended
}
