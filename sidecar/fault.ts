/**
 * Named points at which a test may stop the process, to kill it exactly there. Free when off: one comparison.
 * Each name says what has and has not happened when the process stands still.
 */
export const FAULT_POINTS = [
    'before state line', // decided sets were read; nothing is on disk
    'after state line', // the decision is on disk; nothing was sent to a node
    'between commits', // one COMMIT PREPARED of a set was answered, another not yet sent
    'before write-back', // every branch is finished; the coordinator has not been told
    'during compaction' // the new state file is complete, the old one not yet removed
] as const

export type FaultPoint = (typeof FAULT_POINTS)[number]

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
