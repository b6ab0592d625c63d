import type { Catalog } from './catalog'
import type { CompleteRow, DecidedSet, FateRow } from './records'
import type { FaultPoints } from './fault'
import type { Log } from './log'
import type { Node } from './node'
import { fateOf, makeGid, setId, why, type Action, type Fate, type SetKey } from './protocol'
import type { Problem } from './sqlstate'
import type { StateFile } from './statefile'
import type { BranchFacts, StateEvent } from './statelines'

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
    complete: boolean
    /** It was complete once, and a branch has come back: what becomes of that one is told even if all is well. */
    returned: boolean
}

interface Parts {
    readonly state: StateFile
    readonly nodes: ReadonlyMap<number, Node>
    readonly log: Log
    readonly fault: FaultPoints
    readonly coordinator: string
    readonly retryCap: number
    /** Undefined while the coordinator cannot be reached: decided sets are finished all the same. */
    readonly catalog: () => Catalog | undefined
}

const FIRST_RETRY = 100 // ms

/**
 * Drives decided sets to their end: the decision goes to the state files, then COMMIT PREPARED to all nodes in parallel,
 * then the fates back to the coordinator. A branch whose node is down waits for it and keeps nothing else waiting.
 */
export class Resolver {
    readonly sets = new Map<string, LiveSet>()
    private fates: FateRow[] = []
    private completes: CompleteRow[] = []
    private writing: Promise<void> | undefined
    private started = false

    constructor(private readonly parts: Parts) {}

    /** Results that the coordinator has not been told yet. */
    get unwritten(): number {
        return this.fates.length + this.completes.length
    }

    /**
     * Nothing is sent before: the first look at the coordinator brings what people have ordered, which outranks what the
     * state files remember.
     */
    start(): void {
        if (this.started) return
        this.started = true
        for (const set of this.sets.values()) for (const branch of set.branches.values()) void this.attempt(branch)
    }

    /** Sets that a state file remembers: the decision is on disk already. */
    resume(set: SetKey, events: readonly StateEvent[]): void {
        const live = this.live(set)
        for (const event of events) {
            if (event.kind !== 'branch') continue
            const branch = this.addBranch(live, event.branch)
            branch.durable = true
            branch.fate =
                event.status === 'committed'
                    ? 'committed'
                    : event.status === 'rolled-back'
                      ? 'rolled back'
                      : event.status === 'unknown'
                        ? 'unknown'
                        : branch.fate
        }
        this.settle(live)
    }

    /** Sets whose commit record was seen. Those not known yet are made durable together, then sent off. */
    async decide(decided: readonly DecidedSet[], uriOf: (node: number) => string): Promise<void> {
        const events: StateEvent[] = []
        const fresh: Branch[] = []
        for (const set of decided) {
            const live = this.live(set)
            const added = this.merge(live, set, uriOf)
            if (added.length > 0) {
                events.push(
                    ...added.map((branch): StateEvent => ({ kind: 'branch', set: live.key, branch: branch.facts, status: 'pending' }))
                )
                events.push({ kind: 'phase', set: live.key, phase: 'commit' })
                fresh.push(...added)
            }
            this.settle(live)
        }
        if (fresh.length === 0) return
        await this.parts.fault.at('before state line')
        await this.parts.state.append(events)
        for (const branch of fresh) branch.durable = true
        // A crash from here on is taken up from the state files, with or without the coordinator.
        await this.parts.fault.at('after state line')
        if (this.parts.fault.armed('between commits')) {
            await this.attempt(fresh[0]!)
            await this.parts.fault.at('between commits')
        }
        await Promise.all(fresh.map((branch) => this.attempt(branch)))
    }

    /** Branches that nobody waited for any more, on a node that is back. */
    async revive(sets: readonly DecidedSet[], uriOf: (node: number) => string): Promise<void> {
        for (const set of sets) {
            for (const { node } of set.branches) {
                const branch = this.find(setId(set), node)
                if (branch?.fate !== 'lost') continue
                branch.fate = undefined
                branch.told = false
                void this.attempt(branch)
            }
        }
        await this.decide(sets, uriOf)
    }

    /** Unfinished branches on a node, for its look and for its return. */
    pendingOn(node: number): Branch[] {
        return [...this.sets.values()].flatMap((set) => {
            const branch = set.branches.get(node)
            return branch !== undefined && branch.fate === undefined ? [branch] : []
        })
    }

    find(id: string, node: number): Branch | undefined {
        return this.sets.get(id)?.branches.get(node)
    }

    /** Tries every branch that is due; all of them, due or not, when the node has just come back. */
    async sweep(node: number, all: boolean): Promise<void> {
        const now = Date.now()
        await Promise.all(
            this.pendingOn(node)
                .filter((branch) => all || branch.nextTry <= now)
                .map((branch) => this.attempt(branch))
        )
    }

    /** One try; never throws. What the node cannot be asked now is left for its next look. */
    async attempt(branch: Branch): Promise<void> {
        const node = this.parts.nodes.get(branch.facts.node)
        if (!this.started || !branch.durable || branch.busy || branch.fate !== undefined || node === undefined || !node.up) return
        branch.busy = true
        // A person may order the other way while this is under way: what is answered is still what was sent.
        const { action } = branch
        try {
            const answer = await node.finish(action, branch.facts.gid, branch.facts.owner)
            if (answer.ok) this.finished(branch, fateOf(action))
            else if (answer.problem.trouble === 'absent') await this.lookUp(node, branch, answer.problem)
            else this.retryLater(branch, answer.problem)
        } finally {
            branch.busy = false
        }
    }

    /** An enlisted branch that nobody verified is known by its gid only until its node shows it: it must be finished as its owner. */
    async learn(branch: Branch, seen: Pick<BranchFacts, 'xid' | 'timeline' | 'owner'>): Promise<void> {
        if (branch.facts.owner !== undefined) return
        branch.facts = { ...branch.facts, ...seen }
        await this.attempt(branch)
    }

    /** A person stops waiting for a branch whose node does not answer. */
    giveUp(branch: Branch, as: GivenUp): void {
        this.finished(branch, as)
    }

    /** Tells the coordinator which branches of unfinished sets are done: not at once, as most sets are complete by then. */
    tellProgress(): void {
        for (const set of this.sets.values()) if (!set.complete) this.tellFates(set)
    }

    /** Writes back what is finished, in batches; what fails is kept and goes with the next call. */
    async writeBack(): Promise<void> {
        this.writing ??= this.flush().finally(() => (this.writing = undefined))
        await this.writing
    }

    private live(key: SetKey): LiveSet {
        const id = setId(key)
        const known = this.sets.get(id)
        if (known !== undefined) return known
        const live: LiveSet = { key: { xid: key.xid, nonce: key.nonce }, branches: new Map(), complete: false, returned: false }
        this.sets.set(id, live)
        return live
    }

    private merge(live: LiveSet, set: DecidedSet, uriOf: (node: number) => string): Branch[] {
        const added: Branch[] = []
        if (set.outcome !== null) live.returned = true
        for (const one of set.branches) {
            const known = live.branches.get(one.node)
            const gid = makeGid({ ...live.key, coordinator: this.parts.coordinator, node: one.node })
            const branch =
                known ??
                this.addBranch(live, {
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

    private addBranch(set: LiveSet, facts: BranchFacts): Branch {
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

    /** "Does not exist" is not success: the branch's own xid tells what became of it. */
    private async lookUp(node: Node, branch: Branch, problem: Problem): Promise<void> {
        try {
            const fate = await node.lookUpFate(branch.facts)
            if (fate === undefined)
                this.retryLater(branch, { ...problem, trouble: 'retry', message: 'prepared, but held by another session' })
            else this.finished(branch, fate)
        } catch {
            this.retryLater(branch, {
                trouble: 'unknown',
                sqlstate: undefined,
                message: 'the node went away while the fate of the branch was looked up'
            })
        }
    }

    private retryLater(branch: Branch, problem: Problem): void {
        branch.attempts += 1
        branch.problem = problem
        const wait = Math.min(this.parts.retryCap, FIRST_RETRY * 2 ** Math.min(branch.attempts - 1, 20))
        branch.nextTry = Date.now() + wait * (0.5 + Math.random() / 2)
        if (branch.attempts === 1) {
            this.parts.state.note([{ kind: 'phase', set: branch.set.key, phase: 'incomplete' }])
            this.parts.log.warning(why('commit', 'incomplete'), {
                set: setId(branch.set.key),
                gid: branch.facts.gid,
                sqlstate: problem.sqlstate,
                error: problem.message
            })
        }
    }

    private finished(branch: Branch, fate: NonNullable<Branch['fate']>): void {
        branch.fate = fate
        branch.problem = undefined
        const status = fate === 'rolled back' ? 'rolled-back' : fate === 'committed' || fate === 'unknown' ? fate : undefined
        if (status !== undefined) {
            // Noted, not awaited: after a crash it is found out again, from the branch's xid.
            this.parts.state.note([{ kind: 'branch', set: branch.set.key, branch: branch.facts, status }])
        }
        this.settle(branch.set)
    }

    /** A set is over when every branch has a fate; its outcome is the worst of them. */
    private settle(set: LiveSet): void {
        const fates = [...set.branches.values()].map((branch) => branch.fate)
        if (set.complete || fates.includes(undefined)) return
        set.complete = true
        const outcome = fates.some((fate) => fate === 'rolled back' || fate === 'forced rollback')
            ? 'mixed'
            : fates.includes('unknown') || fates.includes('lost')
              ? 'unknown'
              : 'committed'
        // A complete and committed set says it all in one row.
        if (outcome !== 'committed' || set.returned || fates.includes('forced commit')) this.tellFates(set)
        if (outcome !== 'committed') this.alarm(set, outcome)
        this.completes.push({ ...set.key, outcome, at: new Date().toISOString() })
        setImmediate(() => void this.writeBack())
    }

    private tellFates(set: LiveSet): void {
        for (const [node, branch] of set.branches) {
            if (branch.fate === undefined || branch.told) continue
            branch.told = true
            this.fates.push({ ...set.key, node, fate: branch.fate, at: new Date().toISOString() })
        }
    }

    private alarm(set: LiveSet, outcome: 'mixed' | 'unknown'): void {
        const detail = [...set.branches.values()].map((branch) => `${branch.facts.gid} ${branch.fate}`).join(', ')
        this.parts.log.error(
            outcome === 'mixed' ? 'set is mixed: a branch went against its decision' : 'fate of a branch cannot be proved',
            { set: setId(set.key), branches: detail }
        )
        this.parts
            .catalog()
            ?.noteEvent(outcome, setId(set.key), undefined, detail)
            .catch(() => undefined)
    }

    private async flush(): Promise<void> {
        const catalog = this.parts.catalog()
        while (catalog !== undefined && this.fates.length + this.completes.length > 0) {
            const fates = this.fates.splice(0)
            const completes = this.completes.splice(0)
            try {
                if (completes.length > 0) await this.parts.fault.at('before write-back')
                await catalog.finish(fates, completes)
            } catch (error) {
                this.fates.unshift(...fates)
                this.completes.unshift(...completes)
                this.parts.log.warning('write-back failed, kept for later', { error: String(error) })
                return
            }
            for (const row of completes) this.sets.delete(setId(row))
            this.parts.state.note(
                completes.map((row): StateEvent => ({ kind: 'phase', set: { xid: row.xid, nonce: row.nonce }, phase: 'complete' }))
            )
        }
    }
}
