import { CoordinatorTrouble, type BranchStatusRow, type Catalog, type NodeStatusRow, type Verdict } from './catalog'
import type { Log } from './log'
import { describeFailure, type Node, type Prepared, type RemoteSession, type Scan } from './node'
import { fateOf, parseGid, setId, why, type Action } from './protocol'
import type { Resolver } from './resolver'
import type { Problem } from './sqlstate'

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

interface Parts {
    readonly resolver: Resolver
    readonly log: Log
    readonly lostSets: 'report' | 'rollback'
    readonly retryCap: number
    readonly catalog: () => Catalog | undefined
    readonly uriOf: (node: number) => string
}

/** A branch that no set in hand stands for, and that the node would not finish: tried again. */
interface Refusal {
    attempts: number
    nextTry: number
    problem: Problem
}

const SLOW = 500 // ms after which an unfinished branch is worth showing

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
    private readonly refusals = new Map<string, Refusal>()
    /** The rows last told, and whom. To another connection all is told anew: an earlier sidecar's rows may stand there, or a failover have lost ours. */
    private shown: { readonly to: Catalog; readonly rows: ReadonlyMap<string, string> } | undefined
    private retired = false
    private failures = 0
    private nextConnect = 0
    private reachable: boolean | undefined
    private lastShown = 0
    private lastStatus = ''
    private since = new Date()

    constructor(
        readonly node: Node,
        private readonly parts: Parts
    ) {}

    /** Another keeper has the node from now on: what this one still sees of it is not told. */
    retire(): void {
        this.retired = true
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
            const scan = await this.node.scan()
            const latency = performance.now() - started
            await this.settle(scan, pass)
            pass.ended = await this.endOrphans(scan.sessions)
            await this.show(scan, latency, undefined)
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
            if (!(await this.node.connect())) {
                pass.result = `fenced off: ${this.node.fenceState}`
                await this.show(undefined, undefined, undefined)
                return false
            }
            if (this.reachable === false) this.parts.log.info('node is back', { node: this.node.address.name })
            await this.parts.resolver.sweep(this.node.address.number, true)
        }
        if (this.reachable !== true) this.since = new Date()
        this.reachable = true
        this.failures = 0
        await this.parts.resolver.sweep(this.node.address.number, force)
        return true
    }

    private failed(message: string): void {
        if (this.reachable !== false) {
            this.parts.log.warning('node cannot be reached', { node: this.node.address.name, error: message })
            this.since = new Date()
        }
        this.reachable = false
        this.failures += 1
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
            sets.map((set) =>
                set.outcome === null ? set : { ...set, branches: set.branches.filter((b) => b.node === this.node.address.number) }
            ),
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
            this.refusals.delete(branch.gid)
            this.seen.delete(branch.gid)
            pass[action === 'commit' ? 'committed' : 'rolled_back'] += 1
            this.parts.log.info(`branch ${fateOf(action)}`, {
                node: this.node.address.name,
                gid: branch.gid,
                because: this.verdicts.get(branch.gid)?.reason
            })
            // Only of a committed set, forced the other way while its node was away, is there a record to keep.
            await this.parts.catalog()?.finish([{ ...parseGid(branch.gid)!, fate: fateOf(action), at: new Date().toISOString() }], [])
        } else if (answer.problem.trouble === 'absent') {
            this.seen.delete(branch.gid)
            await this.checkGone(action, branch, scan)
        } else {
            const attempts = (known?.attempts ?? 0) + 1
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
        const detail = `${branch.gid}: the state files saw its commit record, the coordinator has none. It is committed; was the coordinator restored from an older backup?`
        this.parts.log.error('coordinator contradicts the state files', { node: this.node.address.name, gid: branch.gid })
        this.parts
            .catalog()
            ?.noteEvent('contradiction', undefined, this.node.address.number, detail)
            .catch(() => undefined)
    }

    /** What the node last showed as prepared: it still is, as far as anyone can tell, while the node does not answer. */
    private seen = new Map<string, Prepared>()
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

    /**
     * Remote transactions whose local transaction is over (no SQL hook fires at a local ROLLBACK): seen on the node first,
     * then missing among the sets in flight on the coordinator. Ended only if the session is in that same transaction.
     */
    private async endOrphans(sessions: readonly RemoteSession[]): Promise<number> {
        const catalog = this.parts.catalog()
        if (sessions.length === 0 || catalog === undefined) return 0
        let ended = 0
        const orphaned = new Set(
            await catalog.orphaned(
                this.node.address.number,
                sessions.map((session) => session.name)
            )
        )
        for (const session of sessions) {
            if (!orphaned.has(session.name)) continue
            try {
                if (await this.node.endSession(session)) {
                    ended += 1
                    this.parts.log.info('ended a remote session whose local transaction is over', {
                        node: this.node.address.name,
                        pid: session.pid
                    })
                }
            } catch (error) {
                this.parts.log.warning('cannot end a remote session whose local transaction is over', {
                    node: this.node.address.name,
                    pid: session.pid,
                    error: describeFailure(error).message
                })
            }
        }
        return ended
    }

    /** Tells the coordinator what is to be seen here; only what changed since it was last told. */
    private async show(
        scan: Scan | undefined,
        latency: number | undefined,
        failure: { sqlstate: string | undefined; message: string } | undefined
    ): Promise<void> {
        const catalog = this.parts.catalog()
        if (catalog === undefined || this.retired) return
        if (scan === undefined && this.seen.size > 0) await this.judge(catalog, [...this.seen.values()])
        const rows = scan === undefined ? this.waitingRows(failure) : this.scannedRows(scan)
        const next = new Map(rows.map((row) => [row.gid, JSON.stringify(row)]))
        const told = this.shown?.to === catalog ? this.shown.rows : undefined
        const changed = rows.filter((row) => told?.get(row.gid) !== next.get(row.gid))
        const gone = told && [...told.keys()].filter((gid) => !next.has(gid))
        const status: NodeStatusRow = {
            node: this.node.address.number,
            reachable: this.reachable === true,
            since: this.since.toISOString(),
            checked_at: new Date().toISOString(),
            ...(latency === undefined ? {} : { latency_ms: latency }),
            fence: this.node.fenceState,
            finishing_as: this.node.address.user,
            ...(scan === undefined ? {} : { version: scan.version, prepared_max: scan.slots, prepared_used: scan.slots_used }),
            ...(failure === undefined
                ? {}
                : { ...(failure.sqlstate === undefined ? {} : { sqlstate: failure.sqlstate }), message: failure.message })
        }
        const gist = JSON.stringify([status.reachable, status.fence, status.message, status.prepared_used, status.version])
        const due = gist !== this.lastStatus || Date.now() - this.lastShown > 5000
        if (changed.length === 0 && gone?.length === 0 && !due) return
        await catalog.observe([status], changed, gone)
        this.shown = { to: catalog, rows: next }
        this.lastStatus = gist
        this.lastShown = Date.now()
    }

    private scannedRows(scan: Scan): BranchStatusRow[] {
        const rows = new Map(this.pendingRows(undefined).map((row) => [row.gid, row]))
        for (const branch of scan.prepared) {
            const verdict = this.verdicts.get(branch.gid)
            const base = { gid: branch.gid, node: this.node.address.number, prepared_at: branch.prepared_at, owner: branch.owner }
            const pending = rows.get(branch.gid)
            const problem = this.refusals.get(branch.gid)
            if (pending !== undefined) rows.set(branch.gid, { ...pending, ...base })
            else if (verdict === undefined) continue
            else if (verdict.verdict === 'rollback' || verdict.verdict === 'commit') {
                if (problem !== undefined) {
                    rows.set(branch.gid, {
                        ...base,
                        state: 'retry',
                        decision: verdict.verdict,
                        attempts: problem.attempts,
                        next_retry_at: new Date(problem.nextTry).toISOString(),
                        ...problemFields(problem.problem)
                    })
                }
            } else if (verdict.verdict === 'running')
                rows.set(branch.gid, { ...base, state: 'running', decision: 'undecided', attempts: 0 })
            else rows.set(branch.gid, { ...base, state: 'left alone', decision: 'unknown', attempts: 0, message: verdict.reason })
        }
        return [...rows.values()]
    }

    private waitingRows(failure: { sqlstate: string | undefined; message: string } | undefined): BranchStatusRow[] {
        const reason = failure ?? { sqlstate: undefined, message: this.node.fenceState }
        const pending = this.pendingRows(reason)
        const known = new Set(pending.map((row) => row.gid))
        const others = [...this.seen.values()].flatMap((branch): BranchStatusRow[] => {
            const verdict = this.verdicts.get(branch.gid)?.verdict
            // A decided branch that is not pending was committed since it was seen.
            if (known.has(branch.gid) || verdict === 'commit') return []
            return [
                {
                    gid: branch.gid,
                    node: this.node.address.number,
                    state: 'waiting',
                    prepared_at: branch.prepared_at,
                    owner: branch.owner,
                    attempts: this.failures,
                    decision: verdict === 'rollback' ? verdict : verdict === 'running' ? 'undecided' : 'unknown',
                    ...problemFields(reason)
                }
            ]
        })
        return [...pending, ...others]
    }

    private pendingRows(down: { sqlstate: string | undefined; message: string } | undefined): BranchStatusRow[] {
        return this.parts.resolver
            .pendingOn(this.node.address.number)
            .filter((branch) => down !== undefined || branch.problem !== undefined || Date.now() - branch.since > SLOW)
            .map((branch) => ({
                gid: branch.facts.gid,
                node: this.node.address.number,
                decision: branch.action,
                state: down !== undefined ? 'waiting' : branch.problem === undefined ? 'prepared' : 'retry',
                attempts: branch.attempts + (down === undefined ? 0 : this.failures),
                ...(branch.facts.owner === undefined ? {} : { owner: branch.facts.owner }),
                ...(down !== undefined
                    ? { next_retry_at: new Date(this.nextConnect).toISOString() }
                    : branch.problem === undefined
                      ? {}
                      : { next_retry_at: new Date(branch.nextTry).toISOString() }),
                ...problemFields(down ?? branch.problem)
            }))
    }
}

const problemFields = (
    problem: { readonly sqlstate: string | undefined; readonly message: string } | undefined
): { sqlstate?: string; message?: string } =>
    problem === undefined ? {} : { ...(problem.sqlstate === undefined ? {} : { sqlstate: problem.sqlstate }), message: problem.message }
