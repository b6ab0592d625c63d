import { escapeLiteral } from 'pg'
import { patience } from '../backoff'
import type { Catalog } from '../catalog'
import type { Log } from '../log'
import type { Node } from '../node'
import { nodeSql } from '../sqlfiles'
import { messageOf, sqlstateOf } from '../sqlstate'
import { Ledger, type Held } from './ledger'
import { pluginOf, whyNot } from './plugin'
import { lsnText } from './reader'
import { settle } from './shapes'
import { createSlot, dropSlot, nameOfSlot } from './slot'
import { WalStream } from './walstream'
import { obstacle, type WatchFacts } from './watchcheck'
import type { WatchRow } from './watchbook'

export interface WatchParts {
    readonly coordinator: string
    readonly log: Log
    readonly interval: number
    readonly timeout: number
    readonly retryCap: number
    readonly catalog: () => Catalog | undefined
    readonly node: (number: number) => Node | undefined
    /** A branch was prepared on the node. */
    readonly prepared: (node: number, gid: string, xid: string) => void
    readonly finished: (node: number, gid: string) => void
}

const WATCH = nodeSql('watch')
const STORE_AFTER = 2000 // ms that changes may wait in memory and hold back the slot, before the coordinator keeps them
const FIRST_RETRY = 250 // ms
const CANCELLED = '57014'
const NOT_THERE = '42704'
const MOST_LINES = 5000 // of the feed, in one call
const SNAPSHOTS = 8 // a branch may be finished, and a look be taken, before its rows come: one of those before will do
const BLOCKED_LOOKS = 3 // a stream that waited for a lock at so many looks is ended

/** Watches one node: makes its slot, streams it, confirms what is safe, and takes care that the node never suffers from it. */
export class Watcher {
    readonly ledger: Ledger
    readonly slot: string
    state = 'starting'
    message: string | undefined
    facts: WatchFacts | undefined
    /** While it is off. */
    private missing: ReturnType<typeof obstacle>
    private stream: WalStream | undefined
    private opening = false
    private timer: NodeJS.Timeout | undefined
    private stopped = false
    private spoilt: string | undefined
    private failures = 0
    private nextTry = 0
    private blockedLooks = 0
    private turning: Promise<void> | undefined
    private keeping: Promise<void> = Promise.resolve()

    constructor(
        readonly number: number,
        private row: WatchRow,
        private readonly parts: WatchParts
    ) {
        this.ledger = new Ledger({ coordinator: parts.coordinator, node: number }, row.all_gids)
        this.ledger.onPrepared = (gid, xid) => parts.prepared(number, gid, xid)
        this.ledger.onFinished = (gid) => parts.finished(number, gid)
        this.slot = nameOfSlot(parts.coordinator, number)
        this.schedule(0)
    }

    get streaming(): boolean {
        return this.state === 'streaming'
    }

    /** Of the WAL that the node may keep for its slot. */
    get keptRatio(): number | undefined {
        const kept = this.facts?.slot?.kept
        return kept == null ? undefined : kept / Number(this.row.max_wal)
    }

    /** Why it does not stream, unless it may by itself in a moment; with what cures it, where that is one command. */
    get trouble(): { readonly finding: string; readonly fix?: string } | undefined {
        const { state, message, missing, failures } = this
        if (state === 'streaming' || message === undefined) return undefined
        if (state === 'off') return missing
        return state === 'not connected' && failures < 2 ? undefined : { finding: `${state}: ${message}` }
    }

    /** What was agreed with watch_node(), for another call of it; with so many times the bound. */
    agreed(times: number): string {
        const { publication, all_gids, max_wal } = this.row
        const megabytes = Math.ceil((Number(max_wal) * times) / 1024 / 1024)
        return `publication => ${escapeLiteral(publication)}, all_gids => ${all_gids}, max_wal => '${megabytes}MB'`
    }

    set(row: WatchRow): void {
        if (row.publication !== this.row.publication) this.disconnect('its publication was changed')
        this.row = row
        this.ledger.allGids = row.all_gids
        this.nextTry = 0
    }

    /** The node is gone, or shutting down: until its streams have ended a server does not stop, so this one ends now. */
    disconnect(why: string): void {
        this.stream?.close()
        this.stream = undefined
        if (this.state === 'streaming') [this.state, this.message] = ['not connected', why]
    }

    stop(): void {
        this.stopped = true
        clearTimeout(this.timer)
        this.disconnect('not watched any more')
    }

    /** One look, now or the one under way. */
    look(): Promise<void> {
        clearTimeout(this.timer)
        this.turning ??= this.turn().finally(() => {
            this.turning = undefined
            this.schedule(this.parts.interval)
        })
        return this.turning
    }

    /** Gives the coordinator what it is to keep: the feed, changes that have waited, or those of one set now. */
    keep(set?: { readonly xid: string; readonly nonce: string }): Promise<void> {
        // One after the other: lines are counted off when they are said.
        const next = this.keeping.then(() => this.tell(set))
        this.keeping = next.catch(() => undefined)
        return next
    }

    async dropSlot(): Promise<void> {
        this.stop()
        const node = this.parts.node(this.number)
        if (node?.up !== true) throw new Error('it does not answer')
        await dropSlot(node, this.slot)
    }

    private schedule(wait: number): void {
        if (this.stopped) return
        clearTimeout(this.timer)
        this.timer = setTimeout(() => void this.look(), wait)
    }

    private async turn(): Promise<void> {
        try {
            await this.inspect()
        } catch (error) {
            this.message = messageOf(error)
        }
        await this.keep().catch(() => undefined)
        this.stream?.tell(this.positions())
        await this.show().catch(() => undefined)
    }

    private async inspect(): Promise<void> {
        const node = this.parts.node(this.number)
        if (node?.up !== true) {
            this.disconnect('the node is not reached, or fenced off')
            if (this.stream === undefined) this.state = 'not connected'
            return
        }
        const facts = (this.facts = (await node.look<WatchFacts>(WATCH, [this.slot, this.row.publication]))[0]!)
        this.ledger.snapshots = [...this.ledger.snapshots, facts.snapshot].slice(-SNAPSHOTS)
        const problem = obstacle(facts, { slot: this.slot, publication: this.row.publication, node: node.address.name })
        if (problem !== undefined) {
            this.disconnect(problem.finding)
            ;[this.state, this.message, this.missing] = ['off', problem.finding, problem]
            return
        }
        if (await this.isBlocked(node, facts)) return
        const unfit = this.unfit(facts)
        if (unfit !== undefined) return this.remake(node, unfit)
        if (this.ledger.full) this.disconnect('the coordinator does not take the feed')
        else if (this.stream === undefined && !this.opening && Date.now() >= this.nextTry) void this.open(node, facts)
    }

    /** Waiting for a lock that a prepared transaction holds, decoding would wait as long as that does, and the node's shutdown with it. */
    private async isBlocked(node: Node, facts: WatchFacts): Promise<boolean> {
        const blockers = facts.blockers?.join(', ')
        if (blockers === undefined) {
            this.blockedLooks = 0
            return false
        }
        this.blockedLooks += 1
        this.state = this.opening ? 'starting' : 'blocked'
        this.message = this.opening
            ? `the slot can be made when older transactions are over: ${blockers}`
            : `decoding waits for a lock of ${blockers}`
        if (this.blockedLooks === 1) this.parts.log.warning('decoding waits', { node: node.address.name, for: blockers })
        if (this.opening || this.blockedLooks < BLOCKED_LOOKS) return true
        this.stream?.close()
        this.stream = undefined
        const { active_pid } = facts.slot ?? {}
        if (active_pid != null) await node.lookOnce('select pg_catalog.pg_terminate_backend($1)', [active_pid])
        this.failed()
        return true
    }

    /** Why the slot is of no use any more. */
    private unfit({ slot }: WatchFacts): string | undefined {
        if (slot === null) return undefined
        if (this.spoilt !== undefined) return this.spoilt
        if (slot.wal_status === 'lost') return 'the node has removed WAL that the slot needs (max_slot_wal_keep_size)'
        return Number(slot.kept ?? 0) > Number(this.row.max_wal)
            ? `the slot kept ${slot.kept} bytes of WAL, more than ${this.row.max_wal}`
            : undefined
    }

    /** The node must not fill up for us. What is in hand is kept, as it cannot come again; what happens until the slot is new is not seen. */
    private async remake(node: Node, why: string): Promise<void> {
        this.disconnect(why)
        this.ledger.forsake()
        await dropSlot(node, this.slot)
        ;[this.state, this.message, this.spoilt] = ['starting', why, undefined]
        this.parts.log.warning('slot dropped, to be made anew', { node: node.address.name, slot: this.slot, because: why })
        await this.parts.catalog()?.watchBook.noteGap(this.number, lsnText(this.ledger.received), why)
    }

    private async open(node: Node, { slot, version }: WatchFacts): Promise<void> {
        this.opening = true
        const plugin = pluginOf(version)
        let stream: WalStream | undefined
        try {
            stream = await WalStream.open(node.address, `${this.slot}_watch`, this.parts.timeout)
            if (slot === null) {
                this.state = 'starting'
                this.ledger.forsake()
                if (!this.stopped) await createSlot(stream, { name: this.slot, plugin: plugin.name, timeout: this.parts.timeout })
                // Not watched any more since: whoever dropped the slot may have come too early.
                if (this.stopped)
                    await stream.query(
                        `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '${this.slot}'`
                    )
            } else if (slot.active_pid !== null) {
                // Whoever holds the fence is the only one who may stream: it is a session of a sidecar that is gone.
                await node.lookOnce('select pg_catalog.pg_terminate_backend($1)', [slot.active_pid])
            }
            if (this.stopped || !node.up) return stream.close()
            this.ledger.restart()
            this.stream = stream
            ;[this.state, this.message, this.failures] = ['streaming', undefined, 0]
            this.parts.log.info('watching', { node: node.address.name, slot: this.slot })
            this.opening = false
            await stream.stream(
                { slot: this.slot, plugin, options: plugin.options(this.row.publication, version) },
                this.ledger,
                () => this.positions(),
                (at) => this.moved(at)
            )
        } catch (error) {
            if (stream === undefined || this.stream === stream || this.stream === undefined) this.lost(stream, error)
        } finally {
            this.opening = false
            stream?.close()
            if (this.stream === stream) this.stream = undefined
        }
    }

    private lost(stream: WalStream | undefined, error: unknown): void {
        this.failed()
        // A publication counts from its place in the WAL on: made anew, it is not there where the slot stands.
        if (sqlstateOf(error) === NOT_THERE) this.spoilt = messageOf(error)
        // Closed here, for a reason that is told already.
        if (stream?.closed === true && this.stream !== stream) return
        // The slot waits for older transactions, which isBlocked() names.
        if (sqlstateOf(error) === CANCELLED) return
        this.state = 'not connected'
        this.message = whyNot(error)
        if (this.failures === 1) this.parts.log.warning('not watching', { node: this.number, error: this.message })
    }

    private failed(): void {
        this.failures += 1
        this.nextTry = Date.now() + patience(FIRST_RETRY, this.failures, this.parts.retryCap)
    }

    private moved(position: bigint): void {
        this.ledger.moved(position)
    }

    private positions() {
        const { received, confirmed } = this.ledger
        return { received, confirmed }
    }

    private async tell(set: { readonly xid: string; readonly nonce: string } | undefined): Promise<void> {
        const book = this.parts.catalog()?.watchBook
        const { ledger } = this
        const lines = ledger.unsaid(MOST_LINES)
        const held = [...ledger.held.values()]
        if (book === undefined || (lines.length === 0 && held.length === 0)) return
        const old = Date.now() - STORE_AFTER
        const wanted = ({ key, since }: Held): boolean => since < old || (key.xid === set?.xid && key.nonce === set.nonce)
        const finished = held.filter(({ fate }) => fate !== undefined)
        const over = finished.length === 0 ? [] : await book.keep(this.number, [], [], finished)
        for (const gid of over) ledger.drop(gid)
        await settle(ledger, this.parts.node(this.number), wanted)
        const toStore = [...ledger.held.values()].filter((branch) => branch.settled && wanted(branch))
        if (lines.length + toStore.length > 0) await book.keep(this.number, lines, toStore, [])
        ledger.said(lines)
        // What happened to it while it was written down is in a line that is not said yet.
        for (const branch of toStore) if (ledger.held.get(branch.gid) === branch) ledger.drop(branch.gid)
    }

    private async show(): Promise<void> {
        const { slot, facts, state, message } = this
        await this.parts.catalog()?.watchBook.observe(this.number, {
            state,
            slot,
            lag: facts?.slot?.lag ?? null,
            kept: facts?.slot?.kept ?? null,
            held: this.ledger.held.size,
            message: message ?? null
        })
    }
}
