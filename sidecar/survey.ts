import type { LiveSet } from './liveset'
import { parseGid, setId } from './protocol'
import type { Figures } from './records'
import type { Keeper } from './recovery'
import type { Resolver } from './resolver'
import type { StateFile } from './statefile'
import type { WatchSet } from './watch/watchset'

/** What the sidecar knows at the moment; undefined where it does not act or has not been told. */
export interface Facts {
    readonly version: string
    readonly coordinatorUp: boolean
    readonly acting: boolean
    readonly state: StateFile | undefined
    readonly resolver: Resolver | undefined
    readonly keepers: readonly Keeper[]
    readonly watches?: WatchSet | undefined
    readonly figures: Figures | undefined
}

export type Phase = 'prepare' | 'commit' | 'rollback' | 'incomplete'

export interface NodeSurvey {
    readonly keeper: Keeper
    unfinished: number
    leftAlone: number
    /** Milliseconds. */
    oldest: number
}

/** Everything one scrape tells, from one walk over what is in memory: no node and no database is asked. */
export interface Survey extends Facts {
    readonly phases: Readonly<Record<Phase, number>>
    readonly nodes: readonly NodeSurvey[]
}

export function takeSurvey(facts: Facts): Survey {
    const nodes = new Map(facts.keepers.map((keeper) => [keeper.node.address.number, { keeper, unfinished: 0, leftAlone: 0, oldest: 0 }]))
    const phases = { prepare: 0, commit: 0, rollback: 0, incomplete: 0 }
    const sets = facts.resolver?.sets ?? new Map<string, LiveSet>()
    const now = performance.now()
    for (const set of sets.values()) {
        if (set.complete) continue
        let phase: Phase = 'commit'
        for (const branch of set.branches.values()) {
            if (branch.fate !== undefined) continue
            const node = nodes.get(branch.facts.node)
            if (branch.problem !== undefined || node?.keeper.node.up !== true) phase = 'incomplete'
            if (node === undefined) continue
            node.unfinished += 1
            node.oldest = Math.max(node.oldest, now - set.since)
        }
        phases[phase] += 1
    }
    const others = new Map<string, Phase>()
    for (const node of nodes.values()) surveyPrepared(node, sets, others)
    for (const phase of others.values()) phases[phase] += 1
    return { ...facts, phases, nodes: [...nodes.values()] }
}

/** Branches seen prepared on a node: of sets in hand they tell the true age; the others are in doubt, or nobody's to decide. */
function surveyPrepared(node: NodeSurvey, sets: ReadonlyMap<string, LiveSet>, others: Map<string, Phase>): void {
    for (const { gid, preparedAt, verdict, refused } of node.keeper.sight.prepared) {
        const key = parseGid(gid)
        const live = key && sets.get(setId(key))
        // What a set in hand has finished since the last look is prepared no more.
        if (live?.branches.get(node.keeper.node.address.number)?.fate !== undefined) continue
        if (verdict !== undefined && !['commit', 'rollback', 'running'].includes(verdict)) {
            node.leftAlone += 1
            continue
        }
        node.oldest = Math.max(node.oldest, Date.now() - preparedAt)
        if (key === undefined || live !== undefined) continue
        const id = setId(key)
        const phase =
            verdict === 'commit' || verdict === 'rollback' ? (refused || !node.keeper.node.up ? 'incomplete' : verdict) : 'prepare'
        if (others.get(id) !== 'incomplete') others.set(id, phase)
    }
}
