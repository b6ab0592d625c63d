import { CoordinatorTrouble, type Catalog } from './catalog'
import type { DecidedSet, Verdict, VerdictWord } from './records'
import { Report, type Failure, type Refused } from './report'
import type { Journal } from './journal'
import { endOrphans } from './orphans'
import type { Log } from './log'
import { describeFailure, type Node, type Prepared, type Scan } from './node'
import { fateOf, parseGid, setId, why, type Action } from './protocol'
import type { Resolver } from './resolver'
import { describeProblem } from './sqlstate'

/** What one pass over a node did, for recover(). */
export interface Pass {
    readonly node: string
    prepared: number
    committed: number
    rolled_back: number
    left_alone: number
    /** Remote sessions whose local transaction was over. */
    ended: number
    result: string
}

/** What a node showed when it was last looked at. */
export interface Sight {
    readonly answers: boolean
    readonly slots: number | undefined
    readonly slotsUsed: number | undefined
    readonly prepared: readonly {
        readonly gid: string
        /** Milliseconds, by the node's clock. */
        readonly preparedAt: number
        /** Undefined while the coordinator cannot be asked. */
        readonly verdict: VerdictWord | undefined
        readonly refused: boolean
    }[]
}

interface Parts {
    readonly resolver: Resolver
    readonly log: Log
    readonly journal: Pick<Journal, 'note'>
    readonly lostSets: 'report' | 'rollback'
    readonly retryCap: number
    readonly catalog: () => Catalog | undefined
    readonly uriOf: (node: number) => string
}

const NOT_A_MEMBER = '42501' // SET ROLE, or COMMIT PREPARED, of a role that the sidecar's login is no member of
const MEMBERSHIPS = 30_000 // ms between looks at whose branches may be finished here

/**
 * Recovery of one node: the decision rule, applied at every look. One node's trouble never stops another's recovery,
 * so each has its own keeper. In this order:
 *
 *   P  the branches of this coordinator that are prepared on the node are read there
 *   R, F  then, in one statement on the coordinator: is the commit record visible and does it name the branch;
 *         is the local transaction finished (sql/sidecar/_decide.sql has the argument)
 *   R → COMMIT PREPARED. Not R and F → ROLLBACK PREPARED. Not R and not F → leave it.
 *
 * Were R and F read before P, a transaction could prepare and commit between the two looks, and be rolled back here
 * for want of a record that by then exists.
 */
export class Keeper {
    private running: Promise<Pass> | undefined
    private next: Promise<Pass> | undefined
    private readonly refusals = new Map<string, Refused>()
    private mayHaveLost = true
    private failures = 0
    private nextConnect = 0
    private reachable: boolean | undefined
    private canFinish: string | undefined
    private membershipsAt = 0
    private refused = false
    private readonly report: Report
    private since = new Date()
    private answers = false
    private lastScan: Scan | undefined

    constructor(
        readonly node: Node,
        private readonly parts: Parts
    ) {
        this.report = new Report(node, parts.resolver)
    }

    /** For the metrics: from memory, nobody is asked. */
    get sight(): Sight {
        const scan = this.answers ? this.lastScan : undefined
        const prepared = [...(this.seen?.values() ?? [])].map(({ gid, prepared_at }) => ({
            gid,
            preparedAt: Date.parse(prepared_at),
            verdict: this.verdicts.get(gid)?.verdict,
            refused: this.refusals.has(gid)
        }))
        return { answers: this.answers, slots: scan?.slots, slotsUsed: scan?.slots_used, prepared }
    }

    /** Another keeper has the node from now on: what this one still sees of it is not told. */
    retire(): void {
        this.report.retire()
    }

    /** One pass; calls that overlap share it, but a forced one begins after its call, to see all that its caller saw. Never throws. */
    look(force = false): Promise<Pass> {
        if (this.running === undefined) {
            this.running = this.pass(force).finally(() => (this.running = undefined))
        } else if (force) {
            this.next ??= this.running.then(() => {
                this.next = undefined
                return this.look(true)
            })
            return this.next
        }
        return this.running
    }

    private async pass(force: boolean): Promise<Pass> {
        const pass: Pass = {
            node: this.node.address.name,
            prepared: 0,
            committed: 0,
            rolled_back: 0,
            left_alone: 0,
            ended: 0,
            result: 'ok'
        }
        try {
            if (!(await this.connected(force, pass))) return pass
            const started = performance.now()
            const scan = (this.lastScan = await this.node.scan())
            const latency = performance.now() - started
            await this.settle(scan, pass)
            await this.findLost()
            const catalog = this.parts.catalog()
            if (scan.sessions.length > 0 && catalog !== undefined)
                pass.ended = await endOrphans(this.node, catalog, scan.sessions, this.parts)
            await this.lookAtMemberships()
            await this.show(scan, latency)
        } catch (error) {
            if (error instanceof CoordinatorTrouble) {
                pass.result = `the coordinator did not answer: ${error.message}`
                return pass
            }
            const failure = describeFailure(error)
            pass.result = failure.message
            this.failed(failure.message)
            await this.show(undefined, undefined, failure).catch(() => undefined)
        }
        return pass
    }

    private async connected(force: boolean, pass: Pass): Promise<boolean> {
        if (!this.node.up) {
            if (!force && Date.now() < this.nextConnect) {
                pass.result = 'waiting to try again'
                return false
            }
            const fenced = !(await this.node.connect())
            this.answers = true
            if (fenced) {
                pass.result = `fenced off: ${this.node.fenceState}`
                await this.show()
                return false
            }
            if (this.reachable === false) {
                this.parts.log.info('node is back', { node: this.node.address.name })
                this.parts.journal.note('node is back', `away since ${this.since.toISOString()}`, { node: this.node.address.number })
            }
            await this.parts.resolver.sweep(this.node.address.number, true)
            this.mayHaveLost = true
        }
        if (this.reachable !== true) this.since = new Date()
        this.reachable = true
        this.failures = 0
        await this.parts.resolver.sweep(this.node.address.number, force)
        return true
    }

    /** A node has come back from which branches were declared lost: what became of them is looked up, and told. */
    private async findLost(): Promise<void> {
        const catalog = this.parts.catalog()
        if (!this.mayHaveLost || catalog === undefined) return
        const { number, name, lost } = this.node.address
        const sets = await catalog.lostBranches(number)
        if (lost || sets.length > 0) {
            this.parts.log.warning('a lost node is back', { node: name, branches: sets.length })
            await catalog.noteEvent(
                'node found',
                undefined,
                number,
                `a lost node is back; ${sets.length} branches that were given up are settled by the commit records`
            )
        }
        if (sets.length > 0)
            await this.parts.resolver.revive(
                sets.map((set) => this.onlyHere(set)),
                this.parts.uriOf
            )
        this.mayHaveLost = false
    }

    private onlyHere(set: DecidedSet): DecidedSet {
        return { ...set, branches: set.branches.filter((branch) => branch.node === this.node.address.number) }
    }

    private async lookAtMemberships(): Promise<void> {
        // A refusal says that they have changed, its end that they have changed back: people look at both.
        const before = this.refused
        this.refused = this.isRefused()
        if (!before && !this.refused && Date.now() - this.membershipsAt < MEMBERSHIPS) return
        this.membershipsAt = Date.now()
        const { superuser, members, login } = await this.node.members()
        this.canFinish = superuser ? 'any (superuser)' : members.length === 0 ? `only ${login}` : members.join(', ')
    }

    private isRefused(): boolean {
        const pending = this.parts.resolver.pendingOn(this.node.address.number)
        return [...pending, ...this.refusals.values()].some(({ problem }) => problem?.sqlstate === NOT_A_MEMBER)
    }

    private failed(message: string): void {
        if (this.reachable !== false) {
            this.parts.log.warning('node cannot be reached', { node: this.node.address.name, error: message })
            this.parts.journal.note('node unreachable', message, { node: this.node.address.number })
            this.since = new Date()
        }
        this.reachable = this.answers = false
        this.failures += 1
        if (this.node.address.lost)
            for (const branch of this.parts.resolver.pendingOn(this.node.address.number)) this.parts.resolver.giveUp(branch, 'lost')
        const wait = Math.min(this.parts.retryCap, 250 * 2 ** Math.min(this.failures - 1, 10))
        this.nextConnect = Date.now() + wait * (0.5 + Math.random() / 2)
    }

    /** P is in hand: ask for R and F, then act. */
    private async settle(scan: Scan, pass: Pass): Promise<void> {
        pass.prepared = scan.prepared.length
        this.seen = new Map(scan.prepared.map((branch) => [branch.gid, branch]))
        const catalog = this.parts.catalog()
        if (scan.prepared.length === 0 || catalog === undefined) {
            this.verdicts.clear()
            return
        }
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
    private async commitLate(catalog: Catalog, late: readonly Prepared[], scan: Scan, pass: Pass): Promise<void> {
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
            sets.map((set) => (set.outcome === null ? set : this.onlyHere(set))),
            this.parts.uriOf
        )
        await Promise.all(ordered)
        pass.committed += sets.length
    }

    private async carryOut(action: Action, branch: Prepared, scan: Scan, pass: Pass): Promise<void> {
        const known = this.refusals.get(branch.gid)
        if (known !== undefined && known.nextTry > Date.now()) return
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
            const attempts = (known?.attempts ?? 0) + 1
            if (known === undefined || known.problem.sqlstate !== answer.problem.sqlstate)
                this.parts.journal.note('attempt failed', describeProblem(answer.problem), this.about(branch))
            const wait = Math.min(this.parts.retryCap, 100 * 2 ** Math.min(attempts - 1, 20))
            this.refusals.set(branch.gid, { attempts, nextTry: Date.now() + wait * (0.5 + Math.random() / 2), problem: answer.problem })
            if (attempts === 1) {
                this.parts.log.warning(why(action, 'incomplete'), {
                    node: this.node.address.name,
                    gid: branch.gid,
                    sqlstate: answer.problem.sqlstate,
                    error: answer.problem.message
                })
            }
        }
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
        if (verdict.verdict !== 'rollback' || this.reported.has(branch.gid)) return
        this.reported.add(branch.gid)
        const gid = parseGid(branch.gid)
        const detail = `${branch.gid}: the state files saw its commit record, the coordinator has none. It is committed; was the coordinator restored from an older backup?`
        this.parts.log.error('coordinator contradicts the state files', { node: this.node.address.name, gid: branch.gid })
        this.parts
            .catalog()
            ?.noteEvent('contradiction', gid && setId(gid), this.node.address.number, detail)
            .catch(() => this.reported.delete(branch.gid))
    }

    /** What the node last showed as prepared: it still is, as far as anyone can tell, while the node does not answer. */
    private seen: Map<string, Prepared> | undefined
    private readonly reported = new Set<string>()
    private seenLate = new Set<string>()
    private verdicts = new Map<string, Verdict>()

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

    /** Tells the coordinator what is to be seen here. */
    private async show(scan?: Scan, latency?: number, failure?: Failure): Promise<void> {
        const catalog = this.parts.catalog()
        if (catalog === undefined) return
        if (scan === undefined && this.seen !== undefined && this.seen.size > 0) await this.judge(catalog, [...this.seen.values()])
        await this.report.tell(catalog, {
            scan,
            latency,
            failure,
            reachable: this.reachable === true,
            since: this.since,
            failures: this.failures,
            nextConnect: this.nextConnect,
            canFinish: this.canFinish,
            seen: this.seen,
            verdicts: this.verdicts,
            refusals: this.refusals
        })
    }
}
