import { makeGid, setId, type Action, type Fate, type SetKey } from './protocol'
import type { DecidedSet } from './records'
import type { Problem } from './sqlstate'
import type { BranchFacts, BranchStatus } from './statelines'

/** Nobody waits for the branch any more: an order stands for its node's return, or nothing but the commit record does. */
export type GivenUp = 'forced commit' | 'forced rollback' | 'lost'

/** A branch of a decided set. Its action is the set's decision, unless a person forced the other way. */
export interface Branch {
    readonly set: LiveSet
    facts: BranchFacts
    action: Action
    fate: Fate | GivenUp | undefined
    /** Its decision is on disk: before that nothing is sent to the node. */
    durable: boolean
    busy: boolean
    /** The coordinator has been told the fate. */
    told: boolean
    attempts: number
    nextTry: number
    problem: Problem | undefined
    /** When it was decided, for branches that take long enough to be shown. */
    readonly since: number
}

export interface LiveSet {
    readonly key: SetKey
    readonly branches: Map<number, Branch>
    /** When its commit record was seen, on the clock of performance.now(). */
    readonly since: number
    /** When the coordinator that is asked now last showed its commit record, and with it what people have ordered; undefined before. */
    recordedAt: number | undefined
    complete: boolean
    /** It was complete once, and a branch has come back: what becomes of that one is told even if all is well. */
    returned: boolean
}

export const newSet = (key: SetKey, since: number): LiveSet => ({
    key: { xid: key.xid, nonce: key.nonce },
    branches: new Map(),
    since,
    recordedAt: undefined,
    complete: false,
    returned: false
})

/** Finds the set's branch on a node, or adds it. */
export function addBranch(set: LiveSet, facts: BranchFacts): Branch {
    const known = set.branches.get(facts.node)
    if (known !== undefined) return known
    const branch: Branch = {
        set,
        facts,
        action: 'commit',
        fate: undefined,
        durable: false,
        busy: false,
        told: false,
        attempts: 0,
        nextTry: 0,
        problem: undefined,
        since: Date.now()
    }
    set.branches.set(facts.node, branch)
    return branch
}

/** What the coordinator knows of a set; returns the branches that were not known here, and are to be finished. */
export function merge(live: LiveSet, set: DecidedSet, coordinator: string, uriOf: (node: number) => string): Branch[] {
    const added: Branch[] = []
    live.recordedAt = performance.now()
    if (set.outcome !== null) live.returned = true
    for (const one of set.branches) {
        const known = live.branches.get(one.node)
        const gid = makeGid({ ...live.key, coordinator, node: one.node })
        const branch =
            known ??
            addBranch(live, {
                node: one.node,
                gid,
                uri: uriOf(one.node),
                xid: one.xid ?? undefined,
                timeline: one.timeline ?? undefined,
                owner: one.owner ?? undefined
            })
        if (one.forced !== null) branch.action = one.forced
        if (known !== undefined) continue
        // A fate on a set that is not complete stands; on a complete one the branch has come back and is settled again.
        if (one.fate !== null && set.outcome === null) branch.fate = one.fate as Branch['fate']
        else added.push(branch)
    }
    return added
}

/** A set is over when every branch has a fate; its outcome is the worst of them. Undefined before. */
export function outcomeOf(set: LiveSet): 'committed' | 'mixed' | 'unknown' | undefined {
    const fates = [...set.branches.values()].map((branch) => branch.fate)
    if (fates.includes(undefined)) return undefined
    if (fates.some((fate) => fate === 'rolled back' || fate === 'forced rollback')) return 'mixed'
    return fates.includes('unknown') || fates.includes('lost') ? 'unknown' : 'committed'
}

export const aboutBranch = (branch: Branch): { readonly set: string; readonly node: number } => ({
    set: setId(branch.set.key),
    node: branch.facts.node
})

/** What a state file's word for a branch says of its fate. */
export function fateIn(status: BranchStatus): Fate | undefined {
    if (status === 'rolled-back') return 'rolled back'
    return status === 'committed' || status === 'unknown' ? status : undefined
}

/** How a branch in hand stands, in words. */
export function describe(branch: Branch): string {
    if (branch.fate !== undefined) return branch.fate
    const reason =
        branch.problem?.message ?? (branch.durable ? 'the node does not answer' : 'its decision cannot be written to the state files')
    return `not yet ${branch.action === 'commit' ? 'committed' : 'rolled back'}: ${reason}`
}
