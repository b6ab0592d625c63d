import type { Reading } from './clocks'
import type { Action, Fate } from './protocol'

// What goes between the sidecar and the coordinator's functions, field by field as SQL has it.

/** A commit record with its branches, as read from the coordinator. */
export interface DecidedSet {
    readonly xid: string
    readonly nonce: string
    readonly outcome: string | null
    readonly branches: readonly {
        readonly node: number
        readonly xid: string | null
        readonly timeline: string | null
        readonly owner: string | null
        readonly fate: string | null
        readonly forced: 'commit' | 'rollback' | null
    }[]
}

/** A branch that was committed on a node, of a set that is complete. */
export interface FinishedBranch {
    readonly xid: string
    readonly nonce: string
    readonly branch_xid: string
    readonly complete_at: string
}

/** As sql/sidecar/_point.sql has it. */
export interface PointStanding {
    readonly standing: 'restored' | 'went on' | 'failed'
    /** By node number: the time line on which it was found restored. */
    readonly reconciled: Readonly<Record<string, string>>
}

/** A branch of a set that was committed after a restore point: a row of committed_after(). */
export interface CommittedBranch {
    readonly set_id: string
    readonly number: number
    readonly node: string | null
    readonly branch_xid: string | null
    readonly timeline: string | null
}

/** A set in the state files of which the coordinator has no commit record. */
export interface Unrecorded {
    readonly set_id: string
    /** By node number: what a person ordered for the branch. */
    readonly orders: Readonly<Record<string, Action>> | null
    readonly told: boolean
}

/** One branch of a set that is not complete, or nothing but how the coordinator stands: sql/sidecar/_look.sql. */
export interface LookRow {
    readonly snapshot: string
    readonly requests: boolean
    readonly synchronous: boolean
    readonly xid: string | null
    readonly nonce: string | null
    readonly outcome: string | null
    readonly node: number | null
    readonly branch_xid: string | null
    readonly timeline: string | null
    readonly owner: string | null
    readonly fate: string | null
    readonly forced: Action | null
}

export interface Look {
    readonly snapshot: string
    readonly sets: readonly DecidedSet[]
    readonly requests: boolean
    /** There are synchronous standbys, or there should be. */
    readonly synchronous: boolean
}

/** The sets of a look: a row each branch, a set's rows together or not. */
export function setsOf(rows: readonly LookRow[]): readonly DecidedSet[] {
    const sets = new Map<string, DecidedSet & { branches: DecidedSet['branches'][number][] }>()
    for (const { xid, nonce, outcome, node, branch_xid, timeline, owner, fate, forced } of rows) {
        if (xid === null || nonce === null) continue
        const id = `${xid}_${nonce}`
        let set = sets.get(id)
        if (set === undefined) sets.set(id, (set = { xid, nonce, outcome, branches: [] }))
        if (node !== null) set.branches.push({ node, xid: branch_xid, timeline, owner, fate, forced })
    }
    return [...sets.values()]
}

export type VerdictWord = 'commit' | 'rollback' | 'running' | 'lost' | 'purged' | 'stranger' | 'misplaced' | 'foreign'

export interface Verdict {
    readonly gid: string
    readonly verdict: VerdictWord
    readonly reason: string
}

export interface Request {
    readonly id: string
    readonly kind: string
    readonly arguments: Readonly<Record<string, unknown>>
}

export interface Introduction {
    readonly home: string
    readonly host: string
    readonly pid: number
    readonly version: string
    readonly startedAt: Date
    readonly stateDirectory: string
    /** The coordinator whose sets are in the state files; undefined while they are empty. */
    readonly belongsTo: string | undefined
}

export interface Welcome {
    readonly acting: boolean
    readonly note: string
    readonly coordinator?: string
    /** server_version_num. */
    readonly version?: number
}

export interface FateRow {
    readonly xid: string
    readonly nonce: string
    readonly node: number
    readonly fate: Fate | 'forced commit' | 'forced rollback' | 'lost'
    readonly at: string
}

export interface CompleteRow {
    readonly xid: string
    readonly nonce: string
    readonly outcome: 'committed' | 'mixed' | 'unknown'
    readonly at: string
    /** For the event of a set that went wrong. */
    readonly detail?: string
}

/** What only the database remembers across a restart of the sidecar. */
export interface Figures {
    readonly mixed: number
    readonly unknown: number
    readonly paused: boolean
    readonly lost_nodes: number
    /** Of events; lag in seconds, of the one that is furthest behind. */
    readonly consumers: { readonly reading: number; readonly expired: number; readonly lag: number }
    readonly events: Readonly<Record<string, number>>
    /** The coordinator's clock. */
    readonly clock: Reading
    /** Seconds that servers' clocks may be apart; null while no clock is kept. */
    readonly tolerance: number | null
}

export interface NodeStatusRow {
    readonly node: number
    readonly reachable: boolean
    readonly since: string
    readonly checked_at: string
    readonly latency_ms?: number
    readonly version?: string
    readonly prepared_max?: number
    readonly prepared_used?: number
    readonly oldest_prepared_at?: string | null
    readonly finishing_as?: string
    readonly can_finish?: string
    readonly standbys?: string
    readonly timeline?: string
    readonly fence: string
    readonly sqlstate?: string
    readonly message?: string
}

export interface BranchStatusRow {
    readonly gid: string
    readonly node: number
    readonly state: string
    readonly decision: string
    readonly prepared_at?: string
    readonly owner?: string
    readonly xid?: string
    readonly locks?: string | null
    readonly blocked?: number
    readonly holds_back?: string
    readonly attempts: number
    readonly next_retry_at?: string
    readonly sqlstate?: string
    readonly message?: string
}

/** How the sidecar is, for status(). */
export interface Heartbeat {
    readonly bytes: number
    readonly sets: number
    readonly note: string
    /** When it last looked for new commit records. */
    readonly lookedAt: Date
    /** Branches queued for nodes that answer. */
    readonly queued: number
    readonly unwritten: number
}

/** A branch of a set that is not over, or of the set asked for, as the coordinator's tables have it. */
export interface KnownBranch {
    readonly node: number
    readonly name: string
    readonly gid: string
    /** As in branches(). */
    readonly state: string
    readonly decision: string
    readonly owner: string | null
    readonly locks: string | null
    readonly blocked: number | null
    readonly holds_back: string | null
}

/** A line of history(): what happened to a set, a node or the sidecar itself. */
export interface DatedEntry {
    readonly at: string
    readonly kind: string
    readonly set?: string | undefined
    readonly node?: number | undefined
    readonly detail: string
}
