import { patience } from './backoff'
import { CoordinatorTrouble } from './catalog'
import type { Reading } from './clocks'
import { lookBack } from './lookback'
import { describeFailure, type Node, type Scan } from './node'
import { endOrphans } from './orphans'
import type { VerdictWord } from './records'
import { Report, type Failure } from './report'
import type { Problem } from './sqlstate'
import { onlyOn, Settling, type RecoveryParts, type Settled } from './settling'

/** What one pass over a node did, for recover(). */
export interface Pass extends Settled {
    readonly node: string
    /** Remote sessions whose local transaction was over. */
    ended: number
    result: string
}

/** What a node showed when it was last looked at. */
export interface Sight {
    readonly answers: boolean
    readonly slots: number | undefined
    readonly slotsUsed: number | undefined
    readonly clock: Reading | undefined
    readonly prepared: readonly {
        readonly gid: string
        /** Milliseconds, by the node's clock. */
        readonly preparedAt: number
        /** Undefined while the coordinator cannot be asked. */
        readonly verdict: VerdictWord | undefined
        readonly refused: boolean
    }[]
}

const NOT_A_MEMBER = '42501' // SET ROLE, or COMMIT PREPARED, of a role that the sidecar's login is no member of
const FIRST_RETRY = 250 // ms
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
 * Were R and F read before P, a transaction could begin, prepare and commit between the two looks: its xid, not handed out
 * at the first, would pass for one that a crash has taken back, and its branch be rolled back for want of a record that by
 * then exists (test/model/core.pml shows it).
 */
export class Keeper {
    private running: Promise<Pass> | undefined
    private next: Promise<Pass> | undefined
    private readonly settling: Settling
    private mayHaveLost = true
    private mayHaveGoneBack = true
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
        private readonly parts: RecoveryParts
    ) {
        this.settling = new Settling(node, parts)
        this.report = new Report(node, parts.resolver)
    }

    /** For the metrics: from memory, nobody is asked. */
    get sight(): Sight {
        const scan = this.answers ? this.lastScan : undefined
        const { seen, verdicts, refusals } = this.settling
        const prepared = [...(seen?.values() ?? [])].map(({ gid, prepared_at }) => ({
            gid,
            preparedAt: Date.parse(prepared_at),
            verdict: verdicts.get(gid)?.verdict,
            refused: refusals.has(gid)
        }))
        return { answers: this.answers, slots: scan?.slots, slotsUsed: scan?.slots_used, clock: scan?.clock, prepared }
    }

    /** Why a branch of a decided set could not be finished here when it was last tried. */
    problemOf(gid: string): Problem | undefined {
        const pending = this.parts.resolver.pendingOn(this.node.address.number).find(({ facts }) => facts.gid === gid)
        return pending?.problem ?? this.settling.refusals.get(gid)?.problem
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
            // With it whose branches may be finished, every now and then: an idle node is asked one thing at each look.
            const scan = (this.lastScan = await this.node.scan(Date.now() - this.membershipsAt >= MEMBERSHIPS))
            const latency = performance.now() - started
            await this.settling.settle(scan, pass)
            await this.findLost()
            await this.lookBack(scan)
            const catalog = this.parts.catalog()
            if (scan.sessions.length > 0 && catalog !== undefined)
                pass.ended = await endOrphans(this.node, catalog, scan.sessions, this.parts)
            await this.lookAtMemberships(scan)
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
            if (!fenced) await this.parts.fault.at('after fence')
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
            this.mayHaveLost = this.mayHaveGoneBack = true
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
                sets.map((set) => onlyOn(set, number)),
                this.parts.uriOf
            )
        this.mayHaveLost = false
    }

    /** It may have failed over since it was last seen. */
    private async lookBack({ timeline }: Scan): Promise<void> {
        const catalog = this.parts.catalog()
        if (!this.mayHaveGoneBack || catalog === undefined || timeline === null) return
        await lookBack(this.node, timeline, { ...this.parts, catalog })
        this.mayHaveGoneBack = false
    }

    private async lookAtMemberships(scan: Scan): Promise<void> {
        // A refusal says that they have changed, its end that they have changed back: people look at both.
        const before = this.refused
        this.refused = this.isRefused()
        const found = before || this.refused ? await this.node.members() : scan.members
        if (found === null) return
        this.membershipsAt = Date.now()
        const { superuser, members, login } = found
        this.canFinish = superuser ? 'any (superuser)' : members.length === 0 ? `only ${login}` : members.join(', ')
    }

    private isRefused(): boolean {
        const pending = this.parts.resolver.pendingOn(this.node.address.number)
        return [...pending, ...this.settling.refusals.values()].some(({ problem }) => problem?.sqlstate === NOT_A_MEMBER)
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
        this.nextConnect = Date.now() + patience(FIRST_RETRY, Math.min(this.failures, 11), this.parts.retryCap)
    }

    /** Tells the coordinator what is to be seen here. */
    private async show(scan?: Scan, latency?: number, failure?: Failure): Promise<void> {
        const catalog = this.parts.catalog()
        if (catalog === undefined) return
        if (scan === undefined) await this.settling.judgeAgain(catalog)
        const { seen, verdicts, refusals } = this.settling
        await this.report.tell(catalog, {
            scan,
            seenThrough: !this.mayHaveGoneBack,
            latency,
            failure,
            reachable: this.reachable === true,
            since: this.since,
            failures: this.failures,
            nextConnect: this.nextConnect,
            canFinish: this.canFinish,
            seen,
            verdicts,
            refusals
        })
    }
}
