import { randomBytes } from 'node:crypto'
import type { Client } from 'pg'
import { Finisher, type Answer } from './finisher'
import type { Log } from './log'
import type { NodeAddress } from './nodeoptions'
import { gidPattern, type Action, type Fate } from './protocol'
import { connectToNode, destroy } from './session'
import { nodeSql } from './sqlfiles'
import { messageOf, sqlstateOf } from './sqlstate'

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
    readonly timeout: number
    readonly connections: number
}

interface Holder {
    readonly class: number
    readonly pid: number
    readonly role: string
    readonly name: string
    readonly own: boolean
}

const PROCESS = randomBytes(4).toString('hex')
const HAND = '_hand' // behind a session's name, where branches are finished

const SCAN = nodeSql('scan')
const STAKES = nodeSql('stakes')
const FENCE_HOLDERS = nodeSql('fence_holders')
const HANDS = nodeSql('hands')
const LOOK_UP_FATE = nodeSql('look_up_fate')
const END_SESSION = nodeSql('end_session')
const MEMBERSHIPS = nodeSql('memberships')

/**
 * Lock classes of the fence. Anyone may take an advisory lock, so a stranger could squat on one: then the next class
 * serves, and no class held under the sidecar's own login is ever passed over, whichever it is.
 */
const FENCE_CLASSES = [0x70677835, 0x70677845, 0x70677855, 0x70677865]

/**
 * One node. Connections that finish branches (hands) are opened only while the fence is held, on a connection of its own, and
 * closed the moment that connection is lost. The node may end that one first, and hand the fence to another sidecar while
 * orders are still under way on the others. So whoever gets the fence looks for hands of others, and a new hand, once it can
 * be seen, looks for its fence; then at most one sidecar of a coordinator acts at a node (test/model/fence.pml).
 */
export class Node {
    private fence: Client | undefined
    private finisher: Finisher | undefined
    private closed = false
    /** 'held', or why this sidecar may not act here. */
    fenceState = 'not connected'

    constructor(
        readonly address: NodeAddress,
        private readonly settings: NodeSettings,
        private readonly log: Log,
        private readonly onLost: () => void
    ) {}

    get up(): boolean {
        return this.finisher !== undefined
    }

    get waiting(): number {
        return this.finisher?.waiting ?? 0
    }

    /** Throws when the node cannot be reached; returns false when another sidecar holds the fence. */
    async connect(): Promise<boolean> {
        const client = this.fence ?? (await this.open())
        try {
            this.fenceState = this.closed ? 'not connected' : await this.takeFence(client)
        } catch (error) {
            destroy(client)
            throw error
        }
        // Closed meanwhile: nobody would ever give this fence up.
        if (this.fenceState !== 'held' || this.closed) {
            destroy(client)
            this.fence = undefined
            return false
        }
        this.fence = client
        this.finisher = new Finisher(() => this.openHand(client), this.settings.connections)
        client.on('end', () => this.lost(client))
        return true
    }

    async scan(): Promise<Scan> {
        const { rows } = await this.query<Scan>(SCAN, [gidPattern(this.settings.coordinator)])
        return rows[0]!
    }

    async stakes(gids: readonly string[]): Promise<readonly Stake[]> {
        return (await this.query<Stake>(STAKES, [gids])).rows
    }

    finish(action: Action, gid: string, owner: string | undefined): Promise<Answer> {
        if (this.finisher === undefined) {
            return Promise.resolve({ ok: false, problem: { trouble: 'retry', sqlstate: undefined, message: this.fenceState } })
        }
        return this.finisher.finish(action, gid, owner)
    }

    /** The fate of a branch that is not prepared any more: proved, or 'unknown'; undefined when it is prepared after all. */
    async lookUpFate(branch: {
        readonly gid: string
        readonly xid: string | undefined
        readonly timeline: string | undefined
    }): Promise<Fate | undefined> {
        if (branch.xid === undefined) return 'unknown'
        const { rows } = await this.query<{ status: string | null; timeline: string | null; prepared: boolean }>(LOOK_UP_FATE, [
            branch.xid,
            branch.gid
        ])
        const found = rows[0]!
        if (found.prepared) return undefined
        if (found.timeline !== branch.timeline) return 'unknown'
        return found.status === 'committed' ? 'committed' : found.status === 'aborted' ? 'rolled back' : 'unknown'
    }

    async endSession(session: RemoteSession): Promise<boolean> {
        const { rows } = await this.query<{ ended: boolean }>(END_SESSION, [session.pid, session.xact_start])
        return rows[0]?.ended ?? false
    }

    async memberships() {
        const { rows } = await this.query<{
            login: string
            superuser: boolean
            members: string[]
            slots: number
            connections: number
            slots_used: number
            standby: boolean
            version_num: number
            version: string
        }>(MEMBERSHIPS, [])
        return rows[0]!
    }

    close(): void {
        this.closed = true
        const client = this.fence
        this.shut('the sidecar is stopping or the node was changed')
        if (client !== undefined) destroy(client)
    }

    private lost(client: Client): void {
        if (this.fence !== client) return
        this.shut('the connection that holds the fence was lost')
        this.onLost()
    }

    private shut(reason: string): void {
        this.fence = undefined
        this.finisher?.close(reason)
        this.finisher = undefined
        this.fenceState = 'not connected'
    }

    private async query<T extends object>(sql: string, values: unknown[]) {
        const client = this.fence
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

    private open(name = this.sessionName): Promise<Client> {
        return connectToNode(this.address, { name, timeout: this.settings.timeout })
    }

    private async openHand(fence: Client): Promise<Client> {
        const client = await this.open(this.sessionName + HAND)
        try {
            if ((await this.holders(client)).some((holder) => holder.own && holder.name === this.sessionName)) return client
            throw new Error('the fence was lost')
        } catch (error) {
            destroy(client)
            destroy(fence)
            this.lost(fence)
            throw error
        }
    }

    private async holders(client: Client): Promise<Holder[]> {
        return (await client.query<Holder>(FENCE_HOLDERS, [FENCE_CLASSES, this.key])).rows
    }

    /** Of another process, or of this one for another server's number. */
    private async otherHand(client: Client): Promise<{ pid: number; name: string } | undefined> {
        const pattern = `^pgx_${this.settings.coordinator}_sidecar_[0-9a-f]{16}_[0-9]+_[0-9a-f]{8}${HAND}$`
        return (await client.query<{ pid: number; name: string }>(HANDS, [pattern, this.sessionName + HAND])).rows[0]
    }

    /** The coordinator's id as an advisory lock's key. */
    private get key(): number {
        return Number.parseInt(this.settings.coordinator, 16) | 0
    }

    private get homeName(): string {
        return `pgx_${this.settings.coordinator}_sidecar_${this.settings.home}_`
    }

    /** Unlike its home, a process cannot be copied: a session of this name is this process's own. */
    private get sessionName(): string {
        return `${this.homeName}${this.address.number}_${PROCESS}`
    }

    private describeRival({ pid, name }: Holder): string {
        const [, number, process] =
            /^(\d+)_([0-9a-f]{8})$/.exec(name.startsWith(this.homeName) ? name.slice(this.homeName.length) : '') ?? []
        if (process === PROCESS) return `this database is a node already, under another foreign server: number ${number}`
        if (process !== undefined) return `held by an earlier session of this sidecar, or by a copy of its host: pid ${pid}, ${name}`
        return `held by another sidecar of this coordinator or of a copy of it: pid ${pid}, ${name}`
    }

    private async takeFence(client: Client): Promise<string> {
        const { key } = this
        const holders = await this.holders(client)
        const rival = holders.find((holder) => holder.own && holder.name !== this.sessionName)
        if (rival !== undefined) return this.describeRival(rival)
        for (const { pid } of holders.filter((holder) => holder.own)) {
            // A session that this very process has lost, and the server not yet noticed so.
            await client.query('select pg_terminate_backend($1, $2)', [pid, Math.min(2000, Math.ceil(this.settings.timeout / 2))])
            this.log.info('ended own stale session', { node: this.address.name, pid })
        }
        const squatter = holders.find((holder) => !holder.own)
        if (squatter !== undefined) {
            this.log.warning('fence lock held by a stranger, ignored', { node: this.address.name, role: squatter.role, pid: squatter.pid })
        }
        for (const lockClass of FENCE_CLASSES) {
            const { rows } = await client.query<{ got: boolean }>('select pg_try_advisory_lock($1, $2) as got', [lockClass, key])
            if (rows[0]!.got) {
                // Two sidecars may have passed the look above together, under different classes: the lower pid yields to nobody.
                const other = (await this.holders(client)).find((holder) => holder.own) ?? (await this.otherHand(client))
                if (other === undefined) return 'held'
                await client.query('select pg_advisory_unlock($1, $2)', [lockClass, key])
                return `held by another sidecar: pid ${other.pid}, ${other.name}`
            }
        }
        return `every fence lock is held by others: ${squatter?.role ?? 'unknown'}`
    }
}

export const describeFailure = (error: unknown): { sqlstate: string | undefined; message: string } => ({
    sqlstate: sqlstateOf(error),
    message: messageOf(error)
})
