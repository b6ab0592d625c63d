import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import type { Log } from './log'
import { nodeSql } from './sqlfiles'

interface Settings {
    readonly coordinator: string
    readonly home: string
    /** Where the coordinator is, for people at the node: host[:port]/database. */
    readonly place: string
    /** The node's name. */
    readonly node: string
    readonly number: number
    /** What a node may take to answer, in milliseconds. */
    readonly timeout: number
}

/** A session on the node that holds one of the fence's locks; `own`: under the sidecar's own login. */
export interface Holder {
    readonly class: number
    readonly pid: number
    readonly role: string
    readonly name: string
    readonly own: boolean
}

const PROCESS = randomBytes(4).toString('hex')

const FENCE_HOLDERS = nodeSql('fence_holders')
const HANDS = nodeSql('hands')
const KEEPS_FENCE = nodeSql('keeps_fence')
const ALONE = nodeSql('alone')

const HANDS_LINGER = 500 // ms in which the last orders of a sidecar that has just died are over

/**
 * Lock classes of the fence. Anyone may take an advisory lock, so a stranger could squat on one: then the next class
 * serves, and no class held under the sidecar's own login is ever passed over, whichever it is.
 */
const FENCE_CLASSES = [0x70677835, 0x70677845, 0x70677855, 0x70677865]

/** The advisory lock on a node by which at most one sidecar of a coordinator acts there, and how its holder is known. */
export class Fence {
    /** Of the lock that was taken last. */
    private lockClass = FENCE_CLASSES[0]!

    constructor(
        private readonly settings: Settings,
        private readonly log: Log
    ) {}

    /**
     * Unlike its home, a process cannot be copied: a session of this name is this process's own. Behind it stands where the
     * coordinator is (read by sql/internal/_peer_of.sql): who finds a branch at the node can ask there.
     */
    get name(): string {
        return sessionName(this.processName, this.settings.place)
    }

    /** Of the sessions on which branches are finished: an order may be under way there while the fence's session is gone. */
    get handName(): string {
        return `${this.processName}_hand`
    }

    /** How the names of this process's sessions here begin. */
    private get processName(): string {
        return `${this.homeName}${this.settings.number}_${PROCESS}`
    }

    /** Returns 'held', or why this sidecar may not act here. */
    async take(client: Client): Promise<string> {
        if (await this.takeAlone(client)) return 'held'
        const holders = await this.holders(client)
        const rival = holders.find((holder) => holder.own && holder.name !== this.name)
        if (rival !== undefined) return this.describeRival(rival)
        for (const { pid } of holders.filter((holder) => holder.own)) {
            // A session that this very process has lost, and the server not yet noticed so.
            await client.query('select pg_terminate_backend($1, $2)', [pid, Math.min(2000, Math.ceil(this.settings.timeout / 2))])
            this.log.info('ended own stale session', { node: this.settings.node, pid })
        }
        const squatter = holders.find((holder) => !holder.own)
        if (squatter !== undefined) {
            this.log.warning('fence lock held by a stranger, ignored', { node: this.settings.node, role: squatter.role, pid: squatter.pid })
        }
        for (const lockClass of FENCE_CLASSES) {
            if (await this.tryLock(client, lockClass)) {
                // Two sidecars may have passed the look above together, and have locks of different classes. Each looks again
                // with its lock in hand, so at least one sees the other, and yields.
                const other = (await this.holders(client)).find((holder) => holder.own) ?? (await this.otherHand(client))
                if (other === undefined) return 'held'
                await this.unlock(client)
                return `held by another sidecar: pid ${other.pid}, ${other.name}`
            }
        }
        return `every fence lock is held by others: ${squatter?.role ?? 'unknown'}`
    }

    /**
     * Without a look at all locks, where nobody is there who could hold one: a lock is given back before its session's entry goes, so who
     * holds one is seen.
     */
    private async takeAlone(client: Client): Promise<boolean> {
        if (!(await this.tryLock(client, FENCE_CLASSES[0]!))) return false
        if (await this.isAlone(client)) return true
        await this.unlock(client)
        return false
    }

    private async tryLock(client: Client, lockClass: number): Promise<boolean> {
        const { rows } = await client.query<{ got: boolean }>('select pg_try_advisory_lock($1, $2) as got', [lockClass, this.key])
        if (rows[0]!.got) this.lockClass = lockClass
        return rows[0]!.got
    }

    private async unlock(client: Client): Promise<void> {
        await client.query('select pg_advisory_unlock($1, $2)', [this.lockClass, this.key])
    }

    /**
     * Whether no session is to be seen in which another sidecar could act: of the login there is only this one, or those whose names begin so. The
     * entries are not read at one moment: another's fence could be gone when its entry is come to, and a connection for its orders
     * have been opened where the look had passed already. A second look sees that one, and no more are opened by
     * whose fence is gone; so it takes two (test/model/fence.pml, ONE_LOOK).
     */
    private async isAlone(client: Client, names?: string): Promise<boolean> {
        for (let look = 0; look < 2; look++) {
            const { rows } = await client.query<{ alone: boolean }>(ALONE, [names ?? null])
            if (!rows[0]!.alone) return false
        }
        return true
    }

    async holders(client: Client): Promise<readonly Holder[]> {
        return (await client.query<Holder>(FENCE_HOLDERS, [FENCE_CLASSES, this.key])).rows
    }

    /** Whether this process still has the fence, as another session of it sees. */
    async isHeld(client: Client): Promise<boolean> {
        if (await this.isAlone(client, this.processName)) {
            // Nobody else acts here, nor will while this session is to be seen. Its own fence may be gone all the same, which shows by its lock.
            if (!(await this.tryLock(client, this.lockClass))) return true
            await this.unlock(client)
            return false
        }
        return (await this.holders(client)).some((holder) => holder.own && holder.name === this.name)
    }

    /** A session on which another process, or this one for another server's number, finishes branches. */
    private async otherHand(client: Client): Promise<{ readonly pid: number; readonly name: string } | undefined> {
        const pattern = `^pgx_${this.settings.coordinator}_sidecar_[0-9a-f]+_[0-9]+_[0-9a-f]{8}_hand$`
        const deadline = Date.now() + HANDS_LINGER
        for (;;) {
            const { rows } = await client.query<{ pid: number; name: string }>(HANDS, [pattern, this.handName])
            if (rows.length === 0 || Date.now() > deadline) return rows[0]
            await sleep(20)
        }
    }

    /** For a query that tells which session carries it out, and whether that one holds the fence. */
    get proof(): { readonly sql: string; readonly values: unknown[] } {
        return { sql: KEEPS_FENCE, values: [FENCE_CLASSES, this.key] }
    }

    private get key(): number {
        return Number.parseInt(this.settings.coordinator, 16) | 0
    }

    /** A few digits of the home tell it from others well enough, and leave room for the place. */
    private get homeName(): string {
        return `pgx_${this.settings.coordinator}_sidecar_${this.settings.home.slice(0, 4)}_`
    }

    private describeRival({ pid, name }: Holder): string {
        const [, number, process] =
            /^(\d+)_([0-9a-f]{8})(?: |$)/.exec(name.startsWith(this.homeName) ? name.slice(this.homeName.length) : '') ?? []
        if (process === PROCESS) return `this database is a node already, under another foreign server: number ${number}`
        if (process !== undefined) return `held by an earlier session of this sidecar, or by a copy of its host: pid ${pid}, ${name}`
        return `held by another sidecar of this coordinator or of a copy of it: pid ${pid}, ${name}`
    }
}

/** PostgreSQL keeps 63 bytes of a name, and replaces what is not ASCII: done here, so that what it shows is what was said. "~" ends what is cut. */
export function sessionName(name: string, place: string): string {
    const room = 63 - name.length - 1
    const plain = place.replace(/[^ -~]/g, '?')
    if (plain.length <= room) return `${name} ${plain}`
    const short = plain.replace(/^([^/.:]+\.)[^/:]*/, (_, first: string) => first.slice(0, -1))
    return `${name} ${short.length <= room ? short : `${short.slice(0, room - 1)}~`}`
}
