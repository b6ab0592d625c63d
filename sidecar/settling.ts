import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from './backoff'
import type { Catalog } from './catalog'
import type { FaultPoints } from './fault'
import type { Journal } from './journal'
import type { Branch } from './liveset'
import type { Log } from './log'
import type { Node, Prepared, Scan } from './node'
import { fateOf, parseGid, setId, why, type Action } from './protocol'
import type { DecidedSet, Verdict } from './records'
import type { Resolver } from './resolver'
import { describeProblem, type Problem } from './sqlstate'

/** What was done about a node's prepared branches. */
export interface Settled {
    prepared: number
    committed: number
    rolled_back: number
    left_alone: number
}

/** A branch that no set in hand stands for, and that the node would not finish: tried again. */
export interface Refused {
    attempts: number
    nextTry: number
    problem: Problem
}

export interface RecoveryParts {
    readonly coordinator: string
    readonly resolver: Resolver
    readonly log: Log
    readonly fault: FaultPoints
    readonly journal: Pick<Journal, 'note'>
    readonly lostSets: 'report' | 'rollback'
    readonly retryCap: number
    readonly catalog: () => Catalog | undefined
    readonly uriOf: (node: number) => string
}

const FIRST_RETRY = 100 // ms
const FIRST_LOOK = 500 // ms for which branches wait to be judged, at most, until the first look at the coordinator is over
const FRESH = 3000 // ms
const LEAST = 64 // branches in the first portion, each further one has twice as many
const MOST = 1024 // branches in a portion: the coordinator needs some 10 ms for the verdicts
const NAMED = 20 // branches of a portion that get a line of the log each; of more there is one line, and history has them all

/**
 * What is prepared at one node, and carrying out the verdicts on it, by the rule that stands in recovery.ts. Branches of
 * sets in hand are the resolver's; the others are finished here.
 */
export class Settling {
    /** What the node last showed as prepared: it still is, as far as anyone can tell, while the node does not answer. */
    seen: Map<string, Prepared> | undefined
    verdicts = new Map<string, Verdict>()
    readonly refusals = new Map<string, Refused>()
    private readonly reported = new Set<string>()
    private seenLate = new Set<string>()

    constructor(
        private readonly node: Node,
        private readonly parts: RecoveryParts
    ) {}

    /**
     * P is in hand: ask for R and F, then act. In portions: while the node works on one, the coordinator is asked about the next, so
     * that thousands of branches neither wait for the last verdict nor hold up other nodes' questions. Each portion's R and F are read
     * behind P all the same. Counts into `pass` what was done.
     */
    async settle(scan: Scan, pass: Settled): Promise<void> {
        pass.prepared = scan.prepared.length
        this.seen = new Map(scan.prepared.map((branch) => [branch.gid, branch]))
        const catalog = this.parts.catalog()
        if (scan.prepared.length === 0 || catalog === undefined) {
            this.verdicts.clear()
            return
        }
        await this.parts.fault.at('before verdict')
        // What the first look brings need not be judged, and it is brought by then; P is in hand, so R and F are read behind it all the same.
        if (!this.parts.resolver.hasStarted) await Promise.race([this.parts.resolver.begun, sleep(FIRST_LOOK, undefined, { ref: false })])
        const verdicts = new Map<string, Verdict>()
        const late = new Set<string>()
        const actions: Promise<void>[] = []
        try {
            for (const portion of portions(scan.prepared)) {
                for (const [gid, verdict] of await this.judge(catalog, portion)) {
                    verdicts.set(gid, verdict)
                    this.verdicts.set(gid, verdict)
                }
                const action = this.act(catalog, portion, scan, late, pass)
                // Its failure is told below, when all are done: until then nobody listens.
                action.catch(() => undefined)
                actions.push(action)
            }
        } finally {
            await Promise.allSettled(actions)
        }
        await Promise.all(actions)
        this.verdicts = verdicts
        this.seenLate = late
        this.forget(scan)
    }

    /** Carries out the verdicts on a portion of P. `late`: the sets that were committed without being in hand here. */
    private async act(catalog: Catalog, portion: readonly Prepared[], scan: Scan, late: Set<string>, pass: Settled): Promise<void> {
        const toCommit: Prepared[] = []
        const toRollBack: Prepared[] = []
        const actions: Promise<void>[] = []
        for (const branch of portion) {
            const verdict = this.verdicts.get(branch.gid)!
            const live = this.inHand(branch.gid)
            if (live !== undefined) {
                actions.push(
                    this.parts.resolver.learn(live, { xid: branch.xid8, timeline: scan.timeline ?? undefined, owner: branch.owner })
                )
                if (live.action === 'commit') this.contradiction(verdict, branch)
            } else if (verdict.verdict === 'commit') {
                toCommit.push(branch)
                late.add(setId(parseGid(branch.gid)!))
            } else if (verdict.verdict === 'rollback' || (verdict.verdict === 'lost' && this.parts.lostSets === 'rollback')) {
                toRollBack.push(branch)
            } else {
                if (verdict.verdict !== 'running') this.leaveAlone(branch, verdict)
                pass.left_alone += 1
            }
        }
        actions.push(this.carryOut('rollback', toRollBack, scan, pass), this.commitLate(catalog, toCommit, scan, pass))
        await Promise.all(actions)
    }

    /** The node does not answer: what it showed last is asked for anew, as the coordinator may know more by now. */
    async judgeAgain(catalog: Catalog): Promise<void> {
        const verdicts = new Map<string, Verdict>()
        for (const portion of portions([...(this.seen?.values() ?? [])]))
            for (const [gid, verdict] of await this.judge(catalog, portion)) verdicts.set(gid, verdict)
        this.verdicts = verdicts
    }

    /** Of sets in hand whose record was seen a moment ago nothing more is to be asked: their branches are the resolver's. */
    private async judge(catalog: Catalog, prepared: readonly Prepared[]): Promise<ReadonlyMap<string, Verdict>> {
        const verdicts = new Map<string, Verdict>()
        const fresh = performance.now() - FRESH
        const asked: Prepared[] = []
        for (const branch of prepared) {
            const live = this.inHand(branch.gid)
            if (live?.set.recordedAt === undefined || live.set.recordedAt < fresh) asked.push(branch)
            else verdicts.set(branch.gid, { gid: branch.gid, verdict: live.action, reason: 'its local transaction committed' })
        }
        if (asked.length === 0) return verdicts
        const found = await catalog.decide(
            this.node.address.number,
            asked.map((branch) => branch.gid),
            asked.map((branch) => branch.xid)
        )
        for (const verdict of found) verdicts.set(verdict.gid, verdict)
        return verdicts
    }

    private inHand(gid: string): Branch | undefined {
        const key = parseGid(gid)
        return key === undefined ? undefined : this.parts.resolver.find(setId(key), this.node.address.number)
    }

    /**
     * Committed sets that the sidecar has not in hand: their record was read here before the doorbell's look, the state
     * files were lost, or a node that failed over or was restored has brought a finished branch back. Before the first look at the
     * coordinator that is all of them: it brings them, and nothing is sent before.
     */
    private async commitLate(catalog: Catalog, late: readonly Prepared[], scan: Scan, pass: Settled): Promise<void> {
        if (late.length === 0 || !this.parts.resolver.hasStarted) return
        const ids = new Map(late.map((branch) => [setId(parseGid(branch.gid)!), branch]))
        const found = await catalog.lookAgain([...ids.keys()])
        // A complete set's branch must be seen twice: the first time it may have been finished since P was read.
        const sets = found.filter((set) => set.outcome === null || this.seenLate.has(setId(set)))
        // Without a commit record it is a person's order that commits the branch.
        for (const set of found) ids.delete(setId(set))
        const ordered = this.carryOut('commit', [...ids.values()], scan, pass)
        await this.parts.resolver.decide(
            sets.map((set) => (set.outcome === null ? set : onlyOn(set, this.node.address.number))),
            this.parts.uriOf
        )
        await ordered
        pass.committed += sets.length
    }

    private async carryOut(action: Action, branches: readonly Prepared[], scan: Scan, pass: Settled): Promise<void> {
        const done: Prepared[] = []
        const tried = await Promise.allSettled(
            branches.map(async (branch) => {
                if (await this.finish(action, branch, scan)) done.push(branch)
            })
        )
        if (done.length > 0) {
            pass[action === 'commit' ? 'committed' : 'rolled_back'] += done.length
            this.logSettled(action, done)
            // Only of a committed set, forced the other way while its node was away, is there a record to keep.
            const at = new Date().toISOString()
            const fates = done.map(({ gid }) => ({ ...parseGid(gid)!, fate: fateOf(action), at }))
            await this.parts.catalog()?.finish(fates, [])
        }
        for (const one of tried) if (one.status === 'rejected') throw one.reason
    }

    private logSettled(action: Action, done: readonly Prepared[]): void {
        const node = this.node.address.name
        if (done.length > NAMED) {
            this.parts.log.info(`branches ${fateOf(action)}`, { node, branches: done.length, first: done[0]!.gid })
            return
        }
        for (const { gid } of done) this.parts.log.info(`branch ${fateOf(action)}`, { node, gid, because: this.verdicts.get(gid)?.reason })
    }

    /** True when the node did it now. */
    private async finish(action: Action, branch: Prepared, scan: Scan): Promise<boolean> {
        const known = this.refusals.get(branch.gid)
        if (known !== undefined && known.nextTry > Date.now()) return false
        if (action === 'rollback') await this.parts.fault.at('before rollback')
        const answer = await this.node.finish(action, branch.gid, branch.owner)
        if (answer.ok) {
            this.noteSettled(action, branch, known?.attempts ?? 0)
            this.refusals.delete(branch.gid)
            this.seen?.delete(branch.gid)
            return true
        }
        if (answer.problem.trouble === 'absent') {
            this.seen?.delete(branch.gid)
            await this.checkGone(action, branch, scan)
        } else {
            this.refused(action, branch, answer.problem)
        }
        return false
    }

    private refused(action: Action, branch: Prepared, problem: Problem): void {
        const known = this.refusals.get(branch.gid)
        const attempts = (known?.attempts ?? 0) + 1
        if (known === undefined || known.problem.sqlstate !== problem.sqlstate)
            this.parts.journal.note('attempt failed', describeProblem(problem), this.about(branch))
        this.refusals.set(branch.gid, { attempts, nextTry: Date.now() + patience(FIRST_RETRY, attempts, this.parts.retryCap), problem })
        if (attempts > 1) return
        this.parts.log.warning(why(action, 'incomplete'), {
            node: this.node.address.name,
            gid: branch.gid,
            sqlstate: problem.sqlstate,
            error: problem.message
        })
    }

    private noteSettled(action: Action, branch: Prepared, failures: number): void {
        const reason = this.verdicts.get(branch.gid)?.reason ?? ''
        this.parts.journal.note(`${fateOf(action)} by recovery`, reason, this.about(branch))
        if (failures > 0) this.parts.journal.note('healed', `${fateOf(action)} after ${failures} failed attempts`, this.about(branch))
    }

    private about(branch: Prepared): { readonly set: string | undefined; readonly node: number } {
        const gid = parseGid(branch.gid)
        return { set: gid && setId(gid), node: this.node.address.number }
    }

    /** Gone before it was finished here: by its own session, or by hand, against the decision perhaps. */
    private async checkGone(action: Action, branch: Prepared, scan: Scan): Promise<void> {
        const fate = await this.node.lookUpFate({ gid: branch.gid, xid: branch.xid8, timeline: scan.timeline ?? undefined })
        if (fate === undefined || fate === 'unknown' || fate === fateOf(action)) return
        const gid = parseGid(branch.gid)
        const detail = `${branch.gid} was ${fate} on the node by someone else, though ${action === 'commit' ? 'it was forced to commit' : 'its local transaction did not commit'}`
        this.parts.log.error('branch went against its decision', { node: this.node.address.name, gid: branch.gid, fate })
        await this.parts.catalog()?.noteEvent('mixed', gid && setId(gid), this.node.address.number, detail)
    }

    private contradiction(verdict: Verdict, branch: Prepared): void {
        if (!/^(rollback|lost)$/.test(verdict.verdict) || this.reported.has(branch.gid)) return
        const gid = parseGid(branch.gid)
        if (gid !== undefined && this.parts.resolver.contradicted.has(setId(gid))) return
        this.reported.add(branch.gid)
        const detail = `${branch.gid}: the state files saw its commit record, the coordinator has none. It is committed; was the coordinator restored from an older backup?`
        this.parts.log.error('coordinator contradicts the state files', { node: this.node.address.name, gid: branch.gid })
        this.parts
            .catalog()
            ?.noteEvent('contradiction', gid && setId(gid), this.node.address.number, detail)
            .catch(() => this.reported.delete(branch.gid))
    }

    private leaveAlone(branch: Prepared, verdict: Verdict): void {
        if (this.reported.has(branch.gid)) return
        this.reported.add(branch.gid)
        this.parts.log.warning('prepared branch left alone', { node: this.node.address.name, gid: branch.gid, because: verdict.reason })
    }

    private forget(scan: Scan): void {
        const there = new Set(scan.prepared.map((branch) => branch.gid))
        for (const gid of this.refusals.keys()) if (!there.has(gid)) this.refusals.delete(gid)
        for (const gid of this.reported) if (!there.has(gid)) this.reported.delete(gid)
    }
}

/** The first ones are small: what is settled first need not wait for much. */
function* portions(prepared: readonly Prepared[]): Generator<readonly Prepared[]> {
    for (let from = 0, size = LEAST; from < prepared.length; from += size, size = Math.min(2 * size, MOST)) {
        yield prepared.slice(from, from + size)
    }
}

/** The set with its branch on one node only. */
export const onlyOn = (set: DecidedSet, node: number): DecidedSet => ({
    ...set,
    branches: set.branches.filter((branch) => branch.node === node)
})
