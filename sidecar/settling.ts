import { patience } from './backoff'
import type { Catalog } from './catalog'
import type { FaultPoints } from './fault'
import type { Journal } from './journal'
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

    /** P is in hand: ask for R and F, then act. Counts into `pass` what was done. */
    async settle(scan: Scan, pass: Settled): Promise<void> {
        pass.prepared = scan.prepared.length
        this.seen = new Map(scan.prepared.map((branch) => [branch.gid, branch]))
        const catalog = this.parts.catalog()
        if (scan.prepared.length === 0 || catalog === undefined) {
            this.verdicts.clear()
            return
        }
        await this.parts.fault.at('before verdict')
        await this.judge(catalog, scan.prepared)
        const late: Prepared[] = []
        const actions: Promise<void>[] = []
        for (const branch of scan.prepared) {
            const verdict = this.verdicts.get(branch.gid)!
            const gid = parseGid(branch.gid)
            const live = gid === undefined ? undefined : this.parts.resolver.find(setId(gid), this.node.address.number)
            if (live !== undefined) {
                actions.push(
                    this.parts.resolver.learn(live, { xid: branch.xid8, timeline: scan.timeline ?? undefined, owner: branch.owner })
                )
                if (live.action === 'commit') this.contradiction(verdict, branch)
            } else if (verdict.verdict === 'commit') {
                late.push(branch)
            } else if (verdict.verdict === 'rollback' || (verdict.verdict === 'lost' && this.parts.lostSets === 'rollback')) {
                actions.push(this.carryOut('rollback', branch, scan, pass))
            } else {
                if (verdict.verdict !== 'running') this.leaveAlone(branch, verdict)
                pass.left_alone += 1
            }
        }
        await Promise.all([...actions, this.commitLate(catalog, late, scan, pass)])
        this.forget(scan)
    }

    /** The node does not answer: what it showed last is asked for anew, as the coordinator may know more by now. */
    async judgeAgain(catalog: Catalog): Promise<void> {
        if (this.seen !== undefined && this.seen.size > 0) await this.judge(catalog, [...this.seen.values()])
    }

    private async judge(catalog: Catalog, prepared: readonly Prepared[]): Promise<void> {
        const verdicts = await catalog.decide(
            this.node.address.number,
            prepared.map((branch) => branch.gid),
            prepared.map((branch) => branch.xid)
        )
        this.verdicts = new Map(verdicts.map((verdict) => [verdict.gid, verdict]))
    }

    /**
     * Committed sets that the sidecar has not in hand: their record was read here before the doorbell's look, the state
     * files were lost, or a node that failed over or was restored has brought a finished branch back.
     */
    private async commitLate(catalog: Catalog, late: readonly Prepared[], scan: Scan, pass: Settled): Promise<void> {
        if (late.length === 0) return void this.seenLate.clear()
        const ids = new Map(late.map((branch) => [setId(parseGid(branch.gid)!), branch]))
        const found = await catalog.lookAgain([...ids.keys()])
        // A complete set's branch must be seen twice: the first time it may have been finished since P was read.
        const sets = found.filter((set) => set.outcome === null || this.seenLate.has(setId(set)))
        this.seenLate = new Set(ids.keys())
        // Without a commit record it is a person's order that commits the branch.
        for (const set of found) ids.delete(setId(set))
        const ordered = [...ids.values()].map((branch) => this.carryOut('commit', branch, scan, pass))
        await this.parts.resolver.decide(
            sets.map((set) => (set.outcome === null ? set : onlyOn(set, this.node.address.number))),
            this.parts.uriOf
        )
        await Promise.all(ordered)
        pass.committed += sets.length
    }

    private async carryOut(action: Action, branch: Prepared, scan: Scan, pass: Settled): Promise<void> {
        const known = this.refusals.get(branch.gid)
        if (known !== undefined && known.nextTry > Date.now()) return
        if (action === 'rollback') await this.parts.fault.at('before rollback')
        const answer = await this.node.finish(action, branch.gid, branch.owner)
        if (answer.ok) {
            this.noteSettled(action, branch, known?.attempts ?? 0)
            this.refusals.delete(branch.gid)
            this.seen?.delete(branch.gid)
            pass[action === 'commit' ? 'committed' : 'rolled_back'] += 1
            this.parts.log.info(`branch ${fateOf(action)}`, {
                node: this.node.address.name,
                gid: branch.gid,
                because: this.verdicts.get(branch.gid)?.reason
            })
            // Only of a committed set, forced the other way while its node was away, is there a record to keep.
            await this.parts.catalog()?.finish([{ ...parseGid(branch.gid)!, fate: fateOf(action), at: new Date().toISOString() }], [])
        } else if (answer.problem.trouble === 'absent') {
            this.seen?.delete(branch.gid)
            await this.checkGone(action, branch, scan)
        } else {
            this.refused(action, branch, answer.problem)
        }
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

/** The set with its branch on one node only. */
export const onlyOn = (set: DecidedSet, node: number): DecidedSet => ({
    ...set,
    branches: set.branches.filter((branch) => branch.node === node)
})
