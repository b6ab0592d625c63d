import type { Client } from 'pg'
import type { Reading } from './clocks'
import type { FaultPoints } from './fault'
import { Fence } from './fence'
import { Finisher, type Answer } from './finisher'
import { Hand } from './hand'
import type { Log } from './log'
import { loginPid, proveSession, readFacts, type Examination } from './nodefacts'
import type { NodeAddress } from './nodeoptions'
import { fateOf, gidPattern, widenXid, type Action, type Fate } from './protocol'
import { connectToNode, destroy } from './session'
import { nodeSql } from './sqlfiles'
import { messageOf, sqlstateOf } from './sqlstate'
import type { Tally } from './tally'

/** A branch of this coordinator, prepared on the node in its database: an element of P. */
export interface Prepared {
    readonly gid: string
    /** 32 bits, as pg_prepared_xacts has it. */
    readonly xid: string
    readonly owner: string
    readonly prepared_at: string
    readonly xid8: string
}

/** A session that a local session's dblink holds on the node, in a transaction. */
export interface RemoteSession {
    readonly pid: number
    readonly name: string
    readonly xact_start: string
}

export interface Scan {
    readonly clock: Reading
    readonly prepared: readonly Prepared[]
    readonly slots_used: number
    readonly slots: number
    /** Of anyone's. */
    readonly oldest_prepared_at: string | null
    readonly standbys: string
    readonly version: string
    readonly standby: boolean
    readonly timeline: string | null
    readonly sessions: readonly RemoteSession[]
    /** Null where it was not asked for. */
    readonly members: Members | null
}

/** Whose branches the sidecar may finish. */
export interface Members {
    readonly login: string
    readonly superuser: boolean
    readonly members: readonly string[]
}

/** As sql/node/scan.sql has it: gid, xid, owner and time of each branch. */
type RawScan = Omit<Scan, 'prepared' | 'clock'> & {
    readonly clock: number
    readonly xmax: string
    readonly prepared: readonly (readonly [string, string, string, string])[]
}

/** What a prepared branch holds up on its node. */
export interface Stake {
    readonly gid: string
    readonly holds_back: string
    readonly blocked: number
    /** Some of the blocked sessions. */
    readonly pids: readonly number[]
    readonly locks: string | null
}

export interface NodeSettings {
    readonly coordinator: string
    readonly home: string
    /** Where the coordinator is, for people at the node: host[:port]/database. */
    readonly place: string
    readonly timeout: number
    readonly connections: number
    readonly fault: FaultPoints
}

const MEMBERS = nodeSql('members')
const SCAN = nodeSql('scan').replace('@node:members@', () => MEMBERS)
const STAKES = nodeSql('stakes')
const LOOK_UP_FATE = nodeSql('look_up_fate')
const STILL_COMMITTED = nodeSql('still_committed')
const STILL_PREPARED = nodeSql('still_prepared')
const END_SESSION = nodeSql('end_session')

/**
 * One node. Connections that finish branches (hands) are opened only while the fence is held, on a connection of its own, and
 * closed the moment that connection is lost. The node may end that one first, and hand the fence to another sidecar while
 * orders are still under way on the others. So whoever gets the fence looks for hands of others, and a new hand, once it can
 * be seen, looks for its fence; then at most one sidecar of a coordinator acts at a node (fence.ts,
 * test/model/fence.pml).
 */
export class Node {
    private readonly fence: Fence
    /** The session that holds the fence. */
    private session: Client | undefined
    private finisher: Finisher | undefined
    private closed = false
    /** 'held', or why this sidecar may not act here. */
    fenceState = 'not connected'

    constructor(
        readonly address: NodeAddress,
        private readonly settings: NodeSettings,
        log: Log,
        private readonly tally: Tally,
        private readonly onLost: () => void
    ) {
        this.fence = new Fence({ ...settings, number: address.number, node: address.name }, log)
    }

    get up(): boolean {
        return this.finisher !== undefined
    }

    get waiting(): number {
        return this.finisher?.waiting ?? 0
    }

    /** Throws when the node cannot be reached; returns false when another sidecar holds the fence. */
    async connect(): Promise<boolean> {
        const client = this.session ?? (await this.open())
        try {
            this.fenceState = this.closed ? 'not connected' : await this.fence.take(client)
        } catch (error) {
            destroy(client)
            throw error
        }
        // Closed meanwhile: nobody would ever give this fence up.
        if (this.fenceState !== 'held' || this.closed) {
            destroy(client)
            this.session = undefined
            return false
        }
        this.session = client
        this.finisher = new Finisher(() => this.openHand(client), this.settings.connections, this.settings.fault)
        client.on('end', () => this.lost(client))
        return true
    }

    async scan(withMembers = false): Promise<Scan> {
        const asked = Date.now()
        const { rows } = await this.query<RawScan>(SCAN, [gidPattern(this.settings.coordinator), withMembers])
        const { xmax, prepared, clock, ...scan } = rows[0]!
        const near = BigInt(xmax)
        return {
            ...scan,
            clock: { clock, asked, answered: Date.now() },
            prepared: prepared.map(([gid, xid, owner, prepared_at]) => ({ gid, xid, owner, prepared_at, xid8: widenXid(xid, near) }))
        }
    }

    async stakes(gids: readonly string[]): Promise<readonly Stake[]> {
        return this.lookOnce<Stake>(STAKES, [gids])
    }

    async finish(action: Action, gid: string, owner: string | undefined): Promise<Answer> {
        if (this.finisher === undefined) {
            return { ok: false, problem: { trouble: 'retry', sqlstate: undefined, message: this.fenceState } }
        }
        const answer = await this.finisher.finish(action, gid, owner)
        if (answer.ok) this.tally.finished(this.address.name, fateOf(action))
        else if (answer.problem.trouble !== 'absent') this.tally.retried(this.address.name, answer.problem.sqlstate)
        return answer
    }

    /** The fate of a branch that is not prepared any more: proved, or 'unknown'; undefined when it is prepared after all. */
    async lookUpFate(branch: {
        readonly gid: string
        readonly xid: string | undefined
        readonly timeline: string | undefined
    }): Promise<Fate | undefined> {
        const fate = branch.xid === undefined ? 'unknown' : await this.askFate(branch)
        if (fate !== undefined) this.tally.finished(this.address.name, fate)
        return fate
    }

    private async askFate(branch: Parameters<Node['lookUpFate']>[0]): Promise<Fate | undefined> {
        const { rows } = await this.query<{ status: string | null; timeline: string | null; prepared: boolean }>(LOOK_UP_FATE, [
            branch.xid,
            branch.gid
        ])
        const found = rows[0]!
        if (found.prepared) return undefined
        if (found.timeline !== branch.timeline) return 'unknown'
        return found.status === 'committed' ? 'committed' : found.status === 'aborted' ? 'rolled back' : 'unknown'
    }

    /**
     * What is known here of branches that were committed here on another time line (sidecar/lookback.ts), those that are prepared left out.
     * What is prepared is read first: a branch that is not has ended, so an xid that is still open afterwards is somebody else's.
     */
    async stillCommitted(
        xids: readonly string[],
        gids: readonly string[]
    ): Promise<readonly { readonly gid: string; readonly xid: string; readonly status: string | null }[]> {
        const prepared = new Set((await this.lookOnce<{ gid: string }>(STILL_PREPARED, [gids])).map(({ gid }) => gid))
        const found = await this.lookOnce<{ gid: string; xid: string; status: string | null }>(STILL_COMMITTED, [xids, gids])
        return found.filter(({ gid }) => !prepared.has(gid))
    }

    async endSession({ pid, xact_start }: RemoteSession): Promise<boolean> {
        const { rows } = await this.query<{ ended: boolean }>(END_SESSION, [pid, xact_start])
        return rows[0]?.ended ?? false
    }

    /** Reads what there is to know of the node, and puts the fence's session to the proof. Needs the node to be up. */
    async examine(owners: readonly string[], patience: string): Promise<Examination> {
        const { session } = this
        if (session === undefined) throw new Error(this.fenceState)
        const client = await this.open()
        try {
            const facts = await readFacts(client, { owners, patience, gids: gidPattern(this.settings.coordinator) })
            const holders = await this.fence.holders(client)
            const { sql, values } = this.fence.proof
            const ask = async () => (await this.query<{ pid: number; held: boolean }>(sql, values)).rows[0]!
            return { ...facts, fence: await proveSession(ask, loginPid(session), client), squatters: holders.filter(({ own }) => !own) }
        } finally {
            destroy(client)
        }
    }

    async members(): Promise<Members> {
        const { rows } = await this.query<Members>(MEMBERS, [])
        return rows[0]!
    }

    /** Rows read on a connection of its own: it disturbs no branch, and needs no fence. Throws when it takes longer than a node may. */
    async lookOnce<T extends object>(sql: string, values: unknown[]): Promise<readonly T[]> {
        const late = new AbortController()
        const look = async (): Promise<readonly T[]> => {
            const client = await this.open()
            const stop = (): void => destroy(client)
            late.signal.addEventListener('abort', stop)
            if (late.signal.aborted) stop()
            try {
                return (await client.query<T>(sql, values)).rows
            } finally {
                stop()
            }
        }
        const timer = setTimeout(() => late.abort(), this.settings.timeout)
        const tooLate = new Promise<never>((_, fail) =>
            late.signal.addEventListener('abort', () => fail(new Error(`no answer within ${this.settings.timeout} ms`)))
        )
        return Promise.race([look(), tooLate]).finally(() => clearTimeout(timer))
    }

    /** A connection for looking, which is the caller's to end: it disturbs no branch, and needs no fence. */
    visit(): Promise<Client> {
        return this.open()
    }

    /** Rows of something quick, read on the session that holds the fence. */
    async look<T extends object>(sql: string, values: unknown[]): Promise<readonly T[]> {
        return (await this.query<T>(sql, values)).rows
    }

    close(): void {
        this.closed = true
        const client = this.session
        this.shut('the sidecar is stopping or the node was changed')
        if (client !== undefined) destroy(client)
    }

    private lost(client: Client): void {
        if (this.session !== client) return
        this.shut('the connection that holds the fence was lost')
        this.onLost()
    }

    private shut(reason: string): void {
        this.session = undefined
        this.finisher?.close(reason)
        this.finisher = undefined
        this.fenceState = 'not connected'
    }

    private async query<T extends object>(sql: string, values: unknown[]) {
        const client = this.session
        if (client === undefined) throw new Error(this.fenceState)
        try {
            return await client.query<T>(sql, values)
        } catch (error) {
            // A time-out leaves the connection in an unknown state; a server's own error does not.
            if (/^(08|57P0)|^$/.test(sqlstateOf(error) ?? '')) {
                destroy(client)
                this.lost(client)
            }
            throw error
        }
    }

    private open(name = this.fence.name): Promise<Client> {
        return connectToNode(this.address, { name, timeout: this.settings.timeout })
    }

    private async openHand(session: Client): Promise<Hand> {
        const client = await this.open(this.fence.handName)
        try {
            if (await this.fence.isHeld(client)) return new Hand(client, this.settings.timeout)
            throw new Error('the fence was lost')
        } catch (error) {
            destroy(client)
            destroy(session)
            this.lost(session)
            throw error
        }
    }
}

export const describeFailure = (error: unknown): { sqlstate: string | undefined; message: string } => ({
    sqlstate: sqlstateOf(error),
    message: messageOf(error)
})
