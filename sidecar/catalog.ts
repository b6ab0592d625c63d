import { Client, type QueryResult, type QueryResultRow } from 'pg'
import type { ConnectionConfig } from './connection'
import { loginPid } from './nodefacts'
import type { NodeRow } from './nodeoptions'
import type { SetKey } from './protocol'
import {
    setsOf,
    type BranchStatusRow,
    type CommittedBranch,
    type CompleteRow,
    type DatedEntry,
    type DecidedSet,
    type FateRow,
    type Figures,
    type FinishedBranch,
    type Heartbeat,
    type Introduction,
    type KnownBranch,
    type Look,
    type LookRow,
    type NodeStatusRow,
    type PointStanding,
    type Request,
    type Unrecorded,
    type Verdict,
    type Welcome
} from './records'
import { destroy, noticeLoss } from './session'
import { messageOf, property } from './sqlstate'
import type { CoordinatorWaits, Mode, SetInFlight } from './waitgraph'
import { WatchBook } from './watch/watchbook'

/** The coordinator failed a call: what a node is doing at the time is no trouble of the node's. Code, detail and hint are the server's. */
export class CoordinatorTrouble extends Error {
    readonly code: string | undefined
    readonly detail: string | undefined
    readonly hint: string | undefined

    constructor(cause: unknown) {
        super(messageOf(cause), { cause })
        this.code = property(cause, 'code')
        this.detail = property(cause, 'detail')
        this.hint = property(cause, 'hint')
    }
}

/**
 * The coordinator database, through one-line calls of SQL functions. Two connections: the main one holds the locks
 * (acting, awake) and looks for new commit records; the other does everything that may take longer.
 */
export class Catalog {
    private synchronous = true

    /** Of watched nodes. */
    readonly watchBook: WatchBook

    private constructor(
        private readonly main: Client,
        private readonly work: Client
    ) {
        this.watchBook = new WatchBook((sql, values) => this.rows(sql, values))
    }

    /** `onEnd` is called once, when either connection is lost; both are closed then. */
    static async connect(config: ConnectionConfig, onEnd: () => void): Promise<Catalog> {
        const open = async (name: string): Promise<Client> => {
            const client = new Client({
                ...config,
                application_name: `pglobalxact sidecar${name}`,
                pipeline: true,
                keepAlive: true,
                keepAliveInitialDelayMillis: 5000
            })
            client.on('error', () => undefined)
            await client.connect()
            const settled = noticeLoss(client)
            await client.query(
                "select set_config('search_path', 'pg_catalog', false), set_config('jit', 'off', false), set_config('statement_timeout', '0', false), set_config('synchronous_commit', 'on', false), set_config('idle_session_timeout', '0', false)"
            )
            await settled
            return client
        }
        const [main, work] = await bothOrNone(open(''), open(' (work)'))
        let ended = false
        const end = (): void => {
            if (ended) return
            ended = true
            destroy(main)
            destroy(work)
            onEnd()
        }
        main.on('end', end)
        work.on('end', end)
        return new Catalog(main, work)
    }

    /** The newest migration the database has had; undefined when the schema is not there. */
    async schemaVersion(): Promise<number | undefined> {
        const there = await this.main.query<{ there: boolean }>("select to_regclass('pglobalxact.migrations') is not null as there")
        if (!there.rows[0]!.there) return undefined
        const { rows } = await this.main.query<{ newest: number | null }>('select max(id) as newest from pglobalxact.migrations')
        return rows[0]!.newest ?? undefined
    }

    async hello(who: Introduction): Promise<Welcome> {
        const { rows } = await this.main.query<{ welcome: Welcome }>('select pglobalxact._hello($1, $2, $3, $4, $5, $6, $7) as welcome', [
            who.home,
            who.host,
            who.pid,
            who.version,
            who.startedAt,
            who.stateDirectory,
            who.belongsTo ?? null
        ])
        return rows[0]!.welcome
    }

    /**
     * Without `since` those that are not complete; with it those decided since, and `patience` is how many milliseconds to wait for one.
     * The oldest `most` of them, or of those after a set.
     */
    async look(since: string | undefined, patience: number, most: number, after: SetKey | undefined): Promise<Look> {
        // The standbys are asked on the same connection, and their answer must not wait for the next set.
        const values = [since ?? null, `${this.synchronous ? 0 : patience} ms`, most, after?.xid ?? null, after?.nonce ?? null]
        const { rows } = await this.main.query<LookRow>('select * from pglobalxact._look($1, $2, $3, $4, $5)', values)
        const { snapshot, requests, synchronous } = rows[0]!
        this.synchronous = synchronous
        return { snapshot, requests, synchronous, sets: setsOf(rows) }
    }

    /**
     * What the last look saw is visible, and not always on the synchronous standbys: its session may have asked for less
     * (synchronous_commit = local), or its wait for them was cancelled. Returns when it is; at once where there are none.
     */
    async awaitStandbys(): Promise<void> {
        if (this.synchronous) await this.main.query('select pglobalxact._await_standbys()')
    }

    async stayAwake(): Promise<boolean> {
        const { rows } = await this.main.query<{ awake: boolean }>('select pglobalxact._stay_awake() as awake')
        return rows[0]!.awake
    }

    async fallAsleep(awake: boolean): Promise<boolean> {
        const { rows } = await this.main.query<{ asleep: boolean }>('select pglobalxact._fall_asleep($1) as asleep', [awake])
        return rows[0]!.asleep
    }

    lookAgain(setIds: readonly string[]): Promise<readonly DecidedSet[]> {
        return this.rows<{ facts: DecidedSet }>('select * from pglobalxact._look_again($1) as facts', [setIds]).then((rows) =>
            rows.map((row) => row.facts)
        )
    }

    /** Which of these sets have no commit record here. */
    unrecorded(setIds: readonly string[]): Promise<readonly Unrecorded[]> {
        return this.rows<Unrecorded>('select * from pglobalxact._unrecorded($1)', [setIds])
    }

    nodeList(): Promise<readonly NodeRow[]> {
        return this.rows<NodeRow>('select * from pglobalxact._node_list()', [])
    }

    decide(node: number, gids: readonly string[], xids: readonly string[]): Promise<readonly Verdict[]> {
        return this.rows<Verdict>('select * from pglobalxact._decide($1, $2, $3)', [node, gids, xids])
    }

    /** Which of these remote sessions, given by name, belong to a local transaction that is over. */
    async orphaned(node: number, names: readonly string[]): Promise<readonly string[]> {
        return (await this.rows<{ name: string }>('select * from pglobalxact._orphaned($1, $2) as name', [node, names])).map(
            (row) => row.name
        )
    }

    async finish(fates: readonly FateRow[], completes: readonly CompleteRow[]): Promise<void> {
        if (fates.length === 0 && completes.every(({ outcome, detail }) => outcome === 'committed' && detail === undefined))
            return this.complete(completes)
        await this.ask('select pglobalxact._finish($1, $2)', [JSON.stringify(fates), JSON.stringify(completes)])
    }

    private async complete(sets: readonly CompleteRow[]): Promise<void> {
        await this.ask('select pglobalxact._complete($1, $2, $3)', [
            listOf(sets.map(({ xid }) => xid)),
            listOf(sets.map(({ nonce }) => nonce)),
            listOf(sets.map(({ at }) => at))
        ])
    }

    /** Without `gone`, every branch of these nodes that is not among `branches` is gone. */
    async observe(
        nodes: readonly NodeStatusRow[],
        branches: readonly BranchStatusRow[],
        gone: readonly string[] | undefined
    ): Promise<void> {
        await this.ask('select pglobalxact._observe($1, $2, $3)', [JSON.stringify(nodes), JSON.stringify(branches), gone ?? null])
    }

    async heartbeat(now: Heartbeat): Promise<void> {
        await this.ask('select pglobalxact._heartbeat($1, $2, $3, $4, $5, $6)', [
            now.bytes,
            now.sets,
            now.note,
            now.lookedAt,
            now.queued,
            now.unwritten
        ])
    }

    async figures(): Promise<Figures> {
        const asked = Date.now()
        const rows = await this.rows<{ figures: Omit<Figures, 'clock'> & { readonly now: number } }>(
            'select pglobalxact._figures() as figures',
            []
        )
        const { now, ...figures } = rows[0]!.figures
        return { ...figures, clock: { clock: now, asked, answered: Date.now() } }
    }

    async purge(): Promise<number> {
        return (await this.rows<{ purged: number }>('select pglobalxact._purge() as purged', []))[0]!.purged
    }

    takeRequests(): Promise<readonly Request[]> {
        return this.rows<Request>('select id::text, kind, arguments from pglobalxact._take_requests()', [])
    }

    async answerRequest(id: string, result: unknown, error: unknown): Promise<void> {
        await this.ask('select pglobalxact._answer_request($1, $2, $3)', [id, json(result), json(error)])
    }

    async closeRequests(): Promise<void> {
        await this.ask('select pglobalxact._close_requests()')
    }

    async standing(setId: string): Promise<{ readonly standing: string | null; readonly pid: number | null } | undefined> {
        return (await this.rows<{ standing: string | null; pid: number | null }>('select * from pglobalxact._standing($1)', [setId]))[0]
    }

    async endLocalSession(setId: string): Promise<boolean> {
        return (await this.rows<{ ended: boolean }>('select pglobalxact._end_local_session($1) as ended', [setId]))[0]!.ended
    }

    async recordForced(gids: readonly string[], action: string, by: string, reason: string, acceptMixed: boolean): Promise<void> {
        await this.ask('select pglobalxact._record_forced($1, $2, $3, $4, $5)', [gids, action, by, reason, acceptMixed])
    }

    async registerNode(server: string, by: string): Promise<void> {
        await this.ask('select pglobalxact._register_node($1, $2)', [server, by])
    }

    /** The branches of a set, or of all that are not over. */
    knownBranches(setId: string | undefined): Promise<readonly KnownBranch[]> {
        return this.rows<KnownBranch>('select * from pglobalxact._known_branches($1)', [setId ?? null])
    }

    /** Sets with a branch on this node that was declared lost: found again if the node is. */
    async lostBranches(node: number): Promise<readonly DecidedSet[]> {
        return (await this.rows<{ facts: DecidedSet }>('select * from pglobalxact._lost_branches($1) as facts', [node])).map(
            (row) => row.facts
        )
    }

    /** What a node had committed before its time line changed, the newest first; the next batch after `last`. */
    finishedThere(node: number, timeline: string, last: FinishedBranch | undefined): Promise<readonly FinishedBranch[]> {
        return this.rows<FinishedBranch>(
            'select xid::text, nonce, branch_xid::text, complete_at::text from pglobalxact._finished_there($1, $2, $3, $4)',
            [node, timeline, last?.complete_at ?? null, last?.xid ?? null]
        )
    }

    async firstXidThere(node: number, timeline: string): Promise<string | null> {
        return (await this.rows<{ xid: string | null }>('select pglobalxact._first_xid_there($1, $2)::text as xid', [node, timeline]))[0]!
            .xid
    }

    async wentBack(node: number, branches: readonly FinishedBranch[]): Promise<void> {
        await this.ask('select pglobalxact._went_back($1, $2)', [node, JSON.stringify(branches)])
    }

    async noteGate(closedAt: string, held: number, purpose: string): Promise<void> {
        await this.ask('select pglobalxact._note_gate($1, $2, $3)', [closedAt, `${held} ms`, purpose])
    }

    brokenPoints(): Promise<readonly { readonly id: string; readonly nodes: readonly number[] }[]> {
        return this.rows('select id, nodes from pglobalxact._broken_points()', [])
    }

    async giveUpPoint(id: string): Promise<void> {
        await this.ask('select pglobalxact._give_up_point($1)', [id])
    }

    /** How this database stands to a restore point. */
    async point(id: string): Promise<PointStanding | undefined> {
        return (await this.rows<PointStanding>('select * from pglobalxact._point($1)', [id]))[0]
    }

    async reconciled(id: string, node: number, timeline: string): Promise<void> {
        await this.ask('select pglobalxact._reconciled($1, $2, $3)', [id, node, timeline])
    }

    committedAfter(manifest: unknown): Promise<readonly CommittedBranch[]> {
        return this.rows<CommittedBranch>('select set_id, number, node, branch_xid::text, timeline from pglobalxact.committed_after($1)', [
            JSON.stringify(manifest)
        ])
    }

    async loseNode(node: number, by: string, reason: string): Promise<void> {
        await this.ask('select pglobalxact._lose_node($1, $2, $3)', [node, by, reason])
    }

    async forget(setId: string, gids: readonly string[], by: string, reason: string): Promise<void> {
        await this.ask('select pglobalxact._forget($1, $2, $3, $4)', [setId, gids, by, reason])
    }

    async acknowledge(setId: string, by: string, reason: string): Promise<string> {
        return (await this.rows<{ outcome: string }>('select pglobalxact._acknowledge($1, $2, $3) as outcome', [setId, by, reason]))[0]!
            .outcome
    }

    async noteEvent(kind: string, setId: string | undefined, node: number | undefined, detail: string): Promise<void> {
        await this.ask('select pglobalxact._note_event($1, $2, $3, $4)', [kind, setId ?? null, node ?? null, detail])
    }

    /** By node number: the roles there that are known to own branches. */
    async branchOwners(): Promise<Readonly<Record<string, readonly string[]>>> {
        return (await this.rows<{ owners: Record<string, string[]> }>('select pglobalxact._branch_owners() as owners', []))[0]!.owners
    }

    /** Which session of the server carries out the main connection's statements, and whether it holds the acting lock. */
    async holdsActing(): Promise<{ readonly pid: number; readonly held: boolean }> {
        const { rows } = await this.main.query<{ pid: number; held: boolean }>(
            'select pg_backend_pid() as pid, exists (select from pglobalxact._sidecar_pid() s where s.pid = pg_backend_pid()) as held'
        )
        return rows[0]!
    }

    get loginPid(): number | undefined {
        return loginPid(this.main)
    }

    async waits(everything: boolean): Promise<CoordinatorWaits> {
        return (await this.rows<{ waits: CoordinatorWaits }>('select pglobalxact._waits($1) as waits', [everything]))[0]!.waits
    }

    /** Sets the mode, if one is given; returns it. */
    async watchDeadlocks(mode?: Mode, by?: string): Promise<Mode> {
        const values = [mode ?? null, by ?? null]
        return (await this.rows<{ mode: Mode }>('select pglobalxact._watch_deadlocks($1, $2) as mode', values))[0]!.mode
    }

    /** False when the session is not in that set any more, or idle. */
    async cancelSet({ set, pid, backend_start }: SetInFlight): Promise<boolean> {
        const values = [set, pid, backend_start]
        return (await this.rows<{ sent: boolean }>('select pglobalxact._cancel_set($1, $2, $3) as sent', values))[0]!.sent
    }

    async forgetCancelled(set: string): Promise<void> {
        await this.ask('select pglobalxact._forget_cancelled($1)', [set])
    }

    async countDeadlocks(costs: Readonly<Record<'looks' | 'queries' | 'ms' | 'found' | 'cancelled', number>>): Promise<void> {
        const { looks, queries, ms, found, cancelled } = costs
        await this.ask('select pglobalxact._count_deadlocks($1, $2, $3, $4, $5)', [looks, queries, ms, found, cancelled])
    }

    async noteEvents(entries: readonly DatedEntry[]): Promise<void> {
        await this.ask('select pglobalxact._note_events($1)', [JSON.stringify(entries)])
    }

    async rememberPeers(): Promise<void> {
        await this.ask('select pglobalxact._remember_peers()')
    }

    /** Where this coordinator is, for people at its nodes: host[:port]/database. The sidecar runs beside it, so its host is this one's if it is local. */
    place(ownHost: string): string {
        const { host, port, database } = this.work
        const name = host === '' || host.startsWith('/') || /^(localhost|127\.|::1)/.test(host) ? ownHost : host
        return `${name}${port === 5432 ? '' : `:${port}`}/${database ?? ''}`
    }

    close(): void {
        destroy(this.main)
        destroy(this.work)
    }

    private async rows<T extends QueryResultRow>(sql: string, values: unknown[]): Promise<readonly T[]> {
        return (await this.ask<T>(sql, values)).rows
    }

    /** Statements have no names: through a transaction pooler, which doctor() is to report, none would be found again. */
    private async ask<T extends QueryResultRow>(sql: string, values: unknown[] = []): Promise<QueryResult<T>> {
        try {
            return await this.work.query<T>(sql, values)
        } catch (error) {
            throw new CoordinatorTrouble(error)
        }
    }
}

async function bothOrNone(...opening: readonly [Promise<Client>, Promise<Client>]): Promise<readonly [Client, Client]> {
    try {
        return await Promise.all(opening)
    } catch (error) {
        for (const one of await Promise.allSettled(opening)) if (one.status === 'fulfilled') destroy(one.value)
        throw error
    }
}

/** An array as the server reads it, of digits and times that need no quotes: the driver would look at each of thousands of them. */
const listOf = (plain: readonly string[]): string => `{${plain.join(',')}}`

const json = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value))
