/**
 * Named points at which a test may stop the process, to kill it exactly there. Free when off: one comparison.
 * Each name says what has and has not happened when the process stands still.
 * test/crash/matrix.test.ts kills everything at each of them, and fails when one has no case there. Those of the local COMMIT
 * are in sql/internal/_prepare_set.sql.
 */
export const FAULT_POINTS = [
    'during replay', // the newest state file was read; nothing was taken up from it
    'after replay', // elected, with the sets of the state files in hand; no node was spoken to
    'after fence', // the fence of a node is held; nothing was read or sent there
    'before verdict', // branches were seen prepared on a node (P); the coordinator was not yet asked about them (R, F)
    'before rollback', // a branch is to be rolled back; nothing was sent
    'rollback unread', // the node has the ROLLBACK PREPARED; its answer was not read
    'before state line', // decided sets were read; nothing is on disk
    'before fsync', // the lines stand in a state file that a loss of power may still take
    'before rename', // a new state file is durable, under a name that is nobody's word yet
    'during compaction', // the new state file is complete, the old one not yet removed
    'after state line', // the decision is on disk; nothing was sent to a node
    'commit unread', // a node has the COMMIT PREPARED; its answer was not read
    'between commits', // one COMMIT PREPARED of a set was answered, another not yet sent
    'before look-up', // a branch does not exist any more; its fate is not yet looked up
    'before write-back', // every branch is finished; the coordinator has not been told
    'after write-back', // the coordinator has been told; the state files do not say so
    'before removal', // no set is live; the state files still stand
    'before order', // a person's order was accepted; it is not on record
    'after order', // the order is on record; nothing was sent for it
    'before answer' // a request was carried out; whoever asked has not been answered
] as const

export type FaultPoint = (typeof FAULT_POINTS)[number]

/** None. */
export const NO_FAULTS: FaultPoints = { armed: () => false, at: () => Promise.resolve() }

export interface FaultPoints {
    armed(point: FaultPoint): boolean
    at(point: FaultPoint): Promise<void>
}

/** `stop` must not return until the process has been continued. Each point stops once. */
export function createFaultPoints(name: string, stop: (point: FaultPoint) => Promise<void>): FaultPoints {
    let pending = FAULT_POINTS.find((point) => point === name)
    return {
        armed: (point) => point === pending,
        at: async (point) => {
            if (point !== pending) return
            pending = undefined
            await stop(point)
        }
    }
}
