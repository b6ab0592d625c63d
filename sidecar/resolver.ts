import { patience } from './backoff'
import type { Catalog } from './catalog'
import type { FaultPoints } from './fault'
import type { Journal } from './journal'
import { aboutBranch, addBranch, fateIn, merge, newSet, outcomeOf, type Branch, type GivenUp, type LiveSet } from './liveset'
import type { Log } from './log'
import type { Node } from './node'
import { fateOf, setId, why, type SetKey } from './protocol'
import type { CompleteRow, DecidedSet } from './records'
import { describeProblem, type Problem } from './sqlstate'
import type { StateFile } from './statefile'
import type { BranchFacts, StateEvent } from './statelines'
import type { Tally } from './tally'
import { WriteBack } from './writeback'

interface Parts {
    readonly state: StateFile
    readonly nodes: ReadonlyMap<number, Node>
    readonly log: Log
    readonly tally: Tally
    readonly journal: Pick<Journal, 'note'>
    readonly fault: FaultPoints
    readonly coordinator: string
    readonly retryCap: number
    /** Undefined while the coordinator cannot be reached: decided sets are finished all the same. */
    readonly catalog: () => Catalog | undefined
    /** Returns when the commit records seen are as safe from a failover as this coordinator's standbys make them. */
    readonly replicated?: () => Promise<void>
}

/** A set with branches that were not known before. */
interface Fresh {
    readonly live: LiveSet
    readonly added: readonly Branch[]
}

const FIRST_RETRY = 100 // ms
const SLOW = 500 // ms after which it is worth telling which branches of a set are done
const PORTION = 250 // sets made durable together when thousands are decided at once: the nodes work on some while the next are written

/**
 * Drives decided sets to their end: the decision goes to the state files, then COMMIT PREPARED to all nodes in parallel,
 * then the fates back to the coordinator. A branch whose node is down waits for it and keeps nothing else waiting.
 */
export class Resolver {
    readonly sets = new Map<string, LiveSet>()
    /** Of these the coordinator has no commit record, and that was told (contradiction.ts). */
    readonly contradicted = new Set<string>()
    /** Sets whose first try is put off by so many milliseconds: a drill's own canary, and no other (drillpoints.ts). */
    readonly postponed = new Map<string, number>()
    /** By node: branches without a fate, and some that have got one since. */
    private readonly pending = new Map<number, Set<Branch>>()
    private readonly results: WriteBack
    private started = false
    private tellBegun = (): void => undefined
    /** Resolves when the first look is over (start()). */
    readonly begun = new Promise<void>((done) => (this.tellBegun = done))
    private tellFirst = (): void => undefined
    /** Resolves when a branch was finished for the first time. */
    readonly firstFinished = new Promise<void>((done) => (this.tellFirst = done))

    constructor(private readonly parts: Parts) {
        this.results = new WriteBack(
            parts,
            () => this.sets.size,
            () => [...parts.nodes.values()].reduce((sum, { waiting }) => sum + waiting, 0),
            (told) => this.forget(told)
        )
    }

    /** Results that the coordinator has not been told yet. */
    get unwritten(): number {
        return this.results.unwritten
    }

    get hasStarted(): boolean {
        return this.started
    }

    /**
     * Nothing of a set is sent before, or before its own record was seen: the first look at the coordinator brings what people have
     * ordered, which outranks what the state files remember.
     */
    start(): void {
        if (this.started) return
        this.started = true
        this.tellBegun()
        for (const set of this.sets.values()) for (const branch of set.branches.values()) void this.attempt(branch)
    }

    /** A first look at a coordinator begins: it may be another one than before, without what that one had. */
    doubt(): void {
        for (const set of this.sets.values()) set.recordedAt = undefined
    }

    /** Sets that a state file remembers, and since when: the decision is on disk already. */
    resume(set: SetKey, events: readonly StateEvent[], since: Date): void {
        const live = this.live(set, performance.now() - Math.max(Date.now() - since.getTime(), 0))
        for (const event of events) {
            if (event.kind !== 'branch') continue
            const branch = addBranch(live, event.branch)
            branch.durable = true
            branch.fate = fateIn(event.status) ?? branch.fate
            this.wait(branch)
        }
        this.settle(live)
    }

    /** Sets whose commit record was seen. Those not known yet are made durable together, then sent off. */
    async decide(decided: readonly DecidedSet[], uriOf: (node: number) => string): Promise<void> {
        const fresh: Fresh[] = []
        for (const set of decided) {
            const live = this.live(set)
            const added = merge(live, set, this.parts.coordinator, uriOf)
            if (added.length > 0) fresh.push({ live, added })
            for (const branch of added) this.wait(branch)
            this.settle(live)
            // Of a state file's: nothing else will try them before start().
            if (!this.started) for (const branch of live.branches.values()) void this.attempt(branch)
        }
        if (fresh.length === 0) return
        await this.parts.fault.at('before state line')
        // A decision that a failover could lose is not carried out yet: the nodes are never ahead of a synchronous standby.
        await this.parts.replicated?.()
        const sent: Promise<void>[] = []
        for (let at = 0; at < fresh.length; at += PORTION) sent.push(...(await this.send(fresh.slice(at, at + PORTION))))
        await Promise.all(sent)
    }

    /** Makes these durable, and then sends them off. */
    private async send(fresh: readonly Fresh[]): Promise<readonly Promise<void>[]> {
        await this.parts.state.append(
            fresh.flatMap(({ live: { key }, added }): StateEvent[] => [
                ...added.map((branch): StateEvent => ({ kind: 'branch', set: key, branch: branch.facts, status: 'pending' })),
                { kind: 'phase', set: key, phase: 'commit' }
            ])
        )
        const branches = fresh.flatMap(({ added }) => added)
        for (const branch of branches) branch.durable = true
        // A crash from here on is taken up from the state files, with or without the coordinator.
        await this.parts.fault.at('after state line')
        if (this.parts.fault.armed('between commits')) {
            await this.attempt(branches[0]!)
            if (branches[0]!.fate !== undefined) await this.parts.fault.at('between commits')
        }
        return branches.filter((branch) => !this.postpone(branch)).map((branch) => this.attempt(branch))
    }

    /** From then on its node's look finds it due, as any other that could not be finished at once. */
    private postpone(branch: Branch): boolean {
        const wait = this.postponed.size === 0 ? undefined : this.postponed.get(setId(branch.set.key))
        if (wait === undefined) return false
        branch.nextTry = Date.now() + wait
        return true
    }

    /** Branches that nobody waited for any more, on a node that is back. */
    async revive(sets: readonly DecidedSet[], uriOf: (node: number) => string): Promise<void> {
        for (const set of sets) {
            for (const { node } of set.branches) {
                const branch = this.find(setId(set), node)
                if (branch?.fate !== 'lost') continue
                branch.fate = undefined
                branch.told = false
                this.wait(branch)
                void this.attempt(branch)
            }
        }
        await this.decide(sets, uriOf)
    }

    /** Unfinished branches on a node, for its look and for its return. */
    pendingOn(node: number): Branch[] {
        return [...(this.pending.get(node) ?? [])].filter(({ fate }) => fate === undefined)
    }

    /** Branches of sets in hand that a node had committed when it was on another time line. */
    committedOn(node: number, timeline: string): Branch[] {
        return [...this.sets.values()].flatMap((set) => {
            const branch = set.branches.get(node)
            const { xid, timeline: on } = branch?.facts ?? {}
            return branch?.fate === 'committed' && !set.complete && xid !== undefined && on !== undefined && on !== timeline ? [branch] : []
        })
    }

    /** The node has lost what it had committed. */
    reverse(branch: Branch): void {
        branch.told = false
        this.finished(branch, 'rolled back')
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
        if (
            !(this.started || branch.set.recordedAt !== undefined) ||
            !branch.durable ||
            branch.busy ||
            branch.fate !== undefined ||
            node === undefined ||
            !node.up
        )
            return
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
        this.tellAll(performance.now() - SLOW)
    }

    /** Of sets that it has in hand since before then, or of all. */
    tellAll(since = Infinity): void {
        for (const set of this.sets.values()) if (!set.complete && set.since < since) this.results.addFates(set)
    }

    /** Writes back what is finished, in batches; what fails is kept and goes with the next call. */
    writeBack(): Promise<void> {
        return this.results.flush()
    }

    private wait(branch: Branch): void {
        const { node } = branch.facts
        const pending = this.pending.get(node)
        if (pending === undefined) this.pending.set(node, new Set([branch]))
        else pending.add(branch)
    }

    private live(key: SetKey, since = performance.now()): LiveSet {
        const id = setId(key)
        const known = this.sets.get(id)
        if (known !== undefined) return known
        const live = newSet(key, since)
        this.sets.set(id, live)
        return live
    }

    /** "Does not exist" is not success: the branch's own xid tells what became of it. */
    private async lookUp(node: Node, branch: Branch, problem: Problem): Promise<void> {
        await this.parts.fault.at('before look-up')
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
        if (branch.attempts === 1 || branch.problem?.sqlstate !== problem.sqlstate)
            this.parts.journal.note('attempt failed', describeProblem(problem), aboutBranch(branch))
        branch.problem = problem
        branch.nextTry = Date.now() + patience(FIRST_RETRY, branch.attempts, this.parts.retryCap)
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
        this.tellFirst()
        if (branch.attempts > 0 && fate === fateOf(branch.action))
            this.parts.journal.note('healed', `${fate} after ${branch.attempts} failed attempts`, aboutBranch(branch))
        branch.fate = fate
        branch.problem = undefined
        this.pending.get(branch.facts.node)?.delete(branch)
        const status = fate === 'rolled back' ? 'rolled-back' : fate === 'committed' || fate === 'unknown' ? fate : undefined
        if (status !== undefined) {
            // Noted, not awaited: after a crash it is found out again, from the branch's xid.
            this.parts.state.note([{ kind: 'branch', set: branch.set.key, branch: branch.facts, status }])
        } else {
            // Nobody waits for it any more; the others were counted by their node.
            this.parts.tally.finished(this.parts.nodes.get(branch.facts.node)?.address.name ?? String(branch.facts.node), fate)
        }
        this.settle(branch.set)
        const { set } = branch
        if (set.complete && !set.returned && [...set.branches.values()].every((one) => one.fate === 'committed'))
            this.parts.tally.halfCommitted(performance.now() - set.since)
    }

    private settle(set: LiveSet): void {
        const outcome = outcomeOf(set)
        if (set.complete || outcome === undefined) return
        set.complete = true
        const forced = [...set.branches.values()].some((branch) => branch.fate === 'forced commit')
        // A complete and committed set says it all in one row.
        if (outcome !== 'committed' || set.returned || forced) this.results.addFates(set)
        const detail = outcome === 'committed' ? {} : { detail: this.alarm(set, outcome) }
        this.results.addOutcome({ ...set.key, outcome, at: new Date().toISOString(), ...detail })
        this.results.flushSoon()
    }

    /** In the log at once; in the database together with the outcome. */
    private alarm(set: LiveSet, outcome: 'mixed' | 'unknown'): string {
        const detail = [...set.branches.values()].map((branch) => `${branch.facts.gid} ${branch.fate}`).join(', ')
        this.parts.log.error(
            outcome === 'mixed' ? 'set is mixed: a branch went against its decision' : 'fate of a branch cannot be proved',
            { set: setId(set.key), branches: detail }
        )
        return detail
    }

    /** The coordinator has taken what became of these sets. */
    private forget(told: readonly CompleteRow[]): void {
        for (const row of told) {
            this.sets.delete(setId(row))
            this.contradicted.delete(setId(row))
        }
        this.parts.state.note(
            told.map((row): StateEvent => ({ kind: 'phase', set: { xid: row.xid, nonce: row.nonce }, phase: 'complete' }))
        )
    }
}
