import { makeGid, parseGid, type Gid } from '../protocol'
import type { Listener, Prepare } from './assembler'
import type { Changes } from './changes'
import type { Ending } from './pgoutput'
import { lsnText } from './reader'

/** A line of the feed, as sql/sidecar/_keep_decoded.sql has it. */
export interface FeedLine {
    readonly kind: 'prepare' | 'commit prepared' | 'rollback prepared'
    readonly gid: string
    readonly lsn: string
    readonly at: string
    readonly rows: number | null
}

/** A branch of this coordinator's whose changes are in hand, and nowhere else but behind the slot's position. */
export interface Held {
    readonly gid: string
    readonly key: Gid
    readonly xid: string
    readonly lsn: string
    readonly at: string
    readonly decodedAt: string
    changes: Changes
    /** Nothing of its rows is unknown that could be known (shapes.ts). */
    settled: boolean
    /** Of the node, taken not long before it was decoded. */
    readonly snapshots: readonly string[]
    readonly since: number
    /** What the node did with it. */
    fate: 'committed' | 'rolled back' | undefined
    fateAt: string | undefined
    /** The stream's position before it: sent again from there, it comes again. */
    before: bigint
}

interface Line extends FeedLine {
    readonly before: bigint
}

const SHED_ABOVE = 64 * 1_048_576 // bytes of changes in memory, per node
const MOST_FEED = 100_000 // lines that wait for the coordinator
const MOST_HELD = 20_000 // branches in hand
const NEVER_AGAIN = 2n ** 64n - 1n // as a position: nothing to wait for

/**
 * What has come out of one node's stream and is not yet safe to forget.
 *
 * The node sends again, after a lost connection or a crash here, whatever lies behind the position that was confirmed. So the slot is
 * the durable copy, and nothing is confirmed before it is of no more use or kept elsewhere:
 *
 *   a line of the feed       until the coordinator has it
 *   the changes of a branch  until its set is off the books, or the coordinator has them, which it is given as soon as they have
 *                            waited for STORE_AFTER (watcher.ts): the slot must not hold back the node for long
 *
 * A crash between the coordinator's commit and the confirmation sends both again; both are then known there by their key.
 */
export class Ledger implements Listener {
    readonly held = new Map<string, Held>()
    private lines: Line[] = []
    private bytes = 0
    /** Everything before it was received. */
    received = 0n
    /** Those that were last taken on the node. */
    snapshots: readonly string[] = []
    onPrepared: (gid: string, xid: string) => void = () => undefined
    onFinished: (gid: string) => void = () => undefined

    constructor(
        private readonly own: { readonly coordinator: string; readonly node: number },
        public allGids: boolean
    ) {}

    prepared({ gid, xid, end, at, decodedAt, changes }: Prepare): void {
        const key = this.ours(gid)
        this.note({ kind: 'prepare', gid, lsn: lsnText(end), at, rows: changes.total }, key !== undefined)
        if (key !== undefined && !this.keeps(gid, end) && this.held.size < MOST_HELD) {
            const kept = this.bytes > SHED_ABOVE ? { ...changes, rows: [] } : changes
            this.drop(gid)
            this.bytes += weigh(kept)
            this.held.set(gid, {
                gid,
                key,
                xid: String(xid),
                lsn: lsnText(end),
                at,
                decodedAt,
                changes: kept,
                settled: kept.rows.every(({ unknown }) => unknown !== true),
                snapshots: this.snapshots,
                since: Date.now(),
                fate: undefined,
                fateAt: undefined,
                before: this.received
            })
            this.onPrepared(gid, String(xid))
        }
        this.moved(end)
    }

    /** Sent again, it may have been rolled back meanwhile, and then its rows are not all there: what was decoded first stays. */
    private keeps(gid: string, end: bigint): boolean {
        return this.held.get(gid)?.lsn === lsnText(end)
    }

    finished({ kind, gid, end, at }: Ending): void {
        const key = this.ours(gid)
        if (kind === 'commit prepared' || kind === 'rollback prepared') {
            this.note({ kind, gid, lsn: lsnText(end), at, rows: null }, key !== undefined)
            const branch = this.held.get(gid)
            if (branch !== undefined) {
                branch.fate = kind === 'commit prepared' ? 'committed' : 'rolled back'
                branch.fateAt = at
            }
            this.onFinished(gid)
        }
        this.moved(end)
    }

    passed(end: bigint): void {
        this.moved(end)
    }

    moved(position: bigint): void {
        if (position > this.received) this.received = position
    }

    /** Nothing before it need be sent again. */
    get confirmed(): bigint {
        let least = this.received
        for (const branch of this.held.values()) if (branch.before < least) least = branch.before
        const first = this.lines[0]
        return first !== undefined && first.before < least ? first.before : least
    }

    /** What the coordinator has not been told, oldest first. */
    unsaid(most: number): readonly FeedLine[] {
        return this.lines.slice(0, most)
    }

    /** By identity: the stream may have been started again meanwhile. */
    said(lines: readonly FeedLine[]): void {
        if (lines.length > 0 && this.lines[0] === lines[0]) this.lines.splice(0, lines.length)
    }

    get full(): boolean {
        return this.lines.length >= MOST_FEED
    }

    settle(branch: Held, changes: Changes): void {
        this.bytes += weigh(changes) - weigh(branch.changes)
        branch.changes = changes
        branch.settled = true
    }

    drop(gid: string): void {
        const branch = this.held.get(gid)
        if (branch === undefined) return
        this.bytes -= weigh(branch.changes)
        this.held.delete(gid)
    }

    /** The stream starts again from what was confirmed: what is in hand will come again. */
    restart(): void {
        this.lines = []
        this.received = 0n
    }

    /** The slot is gone, and nothing comes again: what is in hand is all there is. */
    forsake(): void {
        for (const branch of this.held.values()) branch.before = NEVER_AGAIN
    }

    private ours(gid: string): Gid | undefined {
        const key = parseGid(gid)
        return key?.coordinator === this.own.coordinator && key.node === this.own.node && makeGid(key) === gid ? key : undefined
    }

    private note(line: FeedLine, own: boolean): void {
        if (own || this.allGids) this.lines.push({ ...line, before: this.received })
    }
}

const weigh = ({ rows }: Changes): number =>
    rows.reduce(
        (sum, row) =>
            sum +
            200 +
            [...Object.values(row.old ?? {}), ...Object.values(row.new ?? {})].reduce((all, value) => all + (value?.length ?? 0), 0),
        0
    )
