import type { Catalog } from './catalog'
import type { Branch } from './liveset'
import type { Node, Prepared, Scan, Stake } from './node'
import type { BranchStatusRow, NodeStatusRow, Verdict } from './records'
import type { Resolver } from './resolver'
import type { Refused } from './settling'
import type { Problem } from './sqlstate'

export type Failure = Pick<Problem, 'sqlstate' | 'message'>

/** What a keeper knows of its node after a look. */
export interface NodeView {
    /** Undefined when the node was not reached, or is fenced off. */
    readonly scan: Scan | undefined
    /** What the node had committed on another time line was looked for. */
    readonly seenThrough: boolean
    readonly latency: number | undefined
    readonly failure: Failure | undefined
    readonly reachable: boolean
    readonly since: Date
    readonly failures: number
    readonly nextConnect: number
    readonly canFinish: string | undefined
    /** What the node last showed as prepared; undefined before it was ever reached. */
    readonly seen: ReadonlyMap<string, Prepared> | undefined
    readonly verdicts: ReadonlyMap<string, Verdict>
    readonly refusals: ReadonlyMap<string, Refused>
}

const SLOW = 500 // ms after which an unfinished branch is worth showing
const WAITING = 200 // branches that only wait for their turn, of thousands: the first of them are shown, and are not for long
const OFTEN = 2000 // ms between looks at what the branches shown hold up: pg_locks is no small view
const MOST = 200 // branches of a node whose stakes are looked at
const DUE = 5000 // ms after which a node's row is written again though nothing changed

/** Tells the coordinator what is to be seen at one node, for people to read: only what changed since it was last told. */
export class Report {
    /**
     * The rows last told, and whom, and whether all other rows were removed then. To another connection all is told anew: an earlier
     * sidecar's rows may stand there, or a failover have lost ours.
     */
    private shown: { readonly to: Catalog; readonly rows: ReadonlyMap<string, string>; readonly alone: boolean } | undefined
    private stakes = new Map<string, Stake>()
    private stakesAt = 0
    private toldAt = 0
    private gist = ''
    private retired = false

    constructor(
        private readonly node: Node,
        private readonly resolver: Resolver
    ) {}

    /** Another keeper reports of the node from now on. What is under way goes no further: it would stand over what the other has told. */
    retire(): void {
        this.retired = true
    }

    async tell(catalog: Catalog, view: NodeView): Promise<void> {
        const bare = view.scan === undefined ? this.waiting(view) : this.scanned(view, view.scan)
        await this.weigh(bare, view)
        const rows = bare.map((row) => ({ ...row, ...this.stakes.get(row.gid) }))
        const next = new Map(rows.map((row) => [row.gid, JSON.stringify(row)]))
        const last = this.shown?.to === catalog ? this.shown : undefined
        const changed = rows.filter((row) => last?.rows.get(row.gid) !== next.get(row.gid))
        // Never reached yet: what an earlier sidecar saw there is still the last that is known.
        const alone = last?.alone === true || view.seen !== undefined
        const gone = alone && !last?.alone ? undefined : [...(last?.rows.keys() ?? [])].filter((gid) => !next.has(gid))
        const status = this.status(view)
        const gist = JSON.stringify([
            status.reachable,
            status.fence,
            status.message,
            status.prepared_used,
            status.version,
            status.can_finish,
            status.timeline
        ])
        const due = gist !== this.gist || Date.now() - this.toldAt > DUE
        if (changed.length === 0 && gone?.length === 0 && !due) return
        if (this.retired) return
        await catalog.observe([status], changed, gone)
        this.shown = { to: catalog, rows: next, alone }
        this.gist = gist
        this.toldAt = Date.now()
    }

    /** What the branches to be shown hold up; the last that was seen stands while the node does not answer. */
    private async weigh(rows: readonly BranchStatusRow[], view: NodeView): Promise<void> {
        const shown = new Set(rows.map((row) => row.gid))
        for (const gid of this.stakes.keys()) if (!shown.has(gid)) this.stakes.delete(gid)
        if (view.scan === undefined || rows.length === 0 || Date.now() - this.stakesAt < OFTEN) return
        this.stakesAt = Date.now()
        const gids = rows
            .filter((row) => row.state !== 'running')
            .sort((a, b) => Number(a.state === 'left alone') - Number(b.state === 'left alone'))
            .map((row) => row.gid)
            .slice(0, MOST)
        if (gids.length === 0) return
        // It is only for people to see: no trouble with it is the node's.
        const stakes = await this.node.stakes(gids).catch(() => [])
        for (const stake of stakes) this.stakes.set(stake.gid, stake)
    }

    private status(view: NodeView): NodeStatusRow {
        const { scan, failure } = view
        return {
            node: this.node.address.number,
            reachable: view.reachable,
            since: view.since.toISOString(),
            checked_at: new Date().toISOString(),
            ...(view.latency === undefined ? {} : { latency_ms: view.latency }),
            fence: this.node.fenceState,
            finishing_as: this.node.address.user,
            ...(view.canFinish === undefined ? {} : { can_finish: view.canFinish }),
            ...(scan === undefined
                ? {}
                : {
                      version: scan.version,
                      prepared_max: scan.slots,
                      prepared_used: scan.slots_used,
                      oldest_prepared_at: scan.oldest_prepared_at,
                      standbys: scan.standby ? 'is a standby itself' : scan.standbys,
                      ...(view.seenThrough && scan.timeline !== null ? { timeline: scan.timeline } : {})
                  }),
            ...(failure === undefined ? {} : problemFields(failure))
        }
    }

    private scanned(view: NodeView, scan: Scan): BranchStatusRow[] {
        const rows = new Map(this.pending(undefined, view).map((row) => [row.gid, row]))
        for (const branch of scan.prepared) {
            const row = this.preparedRow(branch, rows.get(branch.gid), view)
            if (row !== undefined) rows.set(branch.gid, row)
        }
        return [...rows.values()]
    }

    /** A branch seen prepared; undefined while there is nothing to say of it: it is being finished. */
    private preparedRow(branch: Prepared, pending: BranchStatusRow | undefined, view: NodeView): BranchStatusRow | undefined {
        const { prepared_at, owner, xid8: xid, gid } = branch
        const base = { gid, node: this.node.address.number, prepared_at, owner, xid }
        if (pending !== undefined) return { ...pending, ...base }
        const verdict = view.verdicts.get(gid)
        if (verdict === undefined) return undefined
        const problem = view.refusals.get(gid)
        switch (verdict.verdict) {
            case 'running':
                return { ...base, state: 'running', decision: 'undecided', attempts: 0 }
            case 'commit':
            case 'rollback':
                return problem === undefined
                    ? undefined
                    : {
                          ...base,
                          state: 'retry',
                          decision: verdict.verdict,
                          attempts: problem.attempts,
                          next_retry_at: new Date(problem.nextTry).toISOString(),
                          ...problemFields(problem.problem)
                      }
            default:
                return { ...base, state: 'left alone', decision: 'unknown', attempts: 0, message: verdict.reason }
        }
    }

    /** The node does not answer, or is fenced off: what was prepared there is still, as far as anyone can tell. */
    private waiting(view: NodeView): BranchStatusRow[] {
        const reason = view.failure ?? { sqlstate: undefined, message: this.node.fenceState }
        const pending = this.pending(reason, view)
        const known = new Set(pending.map((row) => row.gid))
        const others = [...(view.seen?.values() ?? [])].flatMap((branch): BranchStatusRow[] => {
            const verdict = view.verdicts.get(branch.gid)?.verdict
            // A decided branch that is not pending was committed since it was seen.
            if (known.has(branch.gid) || verdict === 'commit') return []
            return [
                {
                    gid: branch.gid,
                    node: this.node.address.number,
                    state: 'waiting',
                    prepared_at: branch.prepared_at,
                    owner: branch.owner,
                    xid: branch.xid8,
                    attempts: view.failures,
                    next_retry_at: new Date(view.nextConnect).toISOString(),
                    decision: verdict === 'rollback' ? verdict : verdict === 'running' ? 'undecided' : 'unknown',
                    ...problemFields(reason)
                }
            ]
        })
        return [...pending, ...others]
    }

    /** Branches of decided sets that take long enough to be shown, or whose node is down. */
    private pending(down: Failure | undefined, view: NodeView): BranchStatusRow[] {
        let waiting = 0
        return this.resolver
            .pendingOn(this.node.address.number)
            .filter(
                ({ problem, since }) => down !== undefined || problem !== undefined || (Date.now() - since > SLOW && ++waiting <= WAITING)
            )
            .map((branch) => ({
                gid: branch.facts.gid,
                node: this.node.address.number,
                decision: branch.action,
                ...(branch.facts.owner === undefined ? {} : { owner: branch.facts.owner }),
                ...(branch.facts.xid === undefined ? {} : { xid: branch.facts.xid }),
                ...(down === undefined ? triedState(branch) : waitingState(branch, down, view))
            }))
    }
}

type Standing = Pick<BranchStatusRow, 'state' | 'attempts' | 'next_retry_at' | 'sqlstate' | 'message'>

const waitingState = (branch: Branch, down: Failure, view: NodeView): Standing => ({
    state: 'waiting',
    attempts: branch.attempts + view.failures,
    next_retry_at: new Date(view.nextConnect).toISOString(),
    ...problemFields(down)
})

const triedState = ({ attempts, problem, nextTry }: Branch): Standing =>
    problem === undefined
        ? { state: 'prepared', attempts }
        : { state: 'retry', attempts, next_retry_at: new Date(nextTry).toISOString(), ...problemFields(problem) }

const problemFields = (problem: Failure): { sqlstate?: string; message: string } => ({
    ...(problem.sqlstate === undefined ? {} : { sqlstate: problem.sqlstate }),
    message: problem.message
})
