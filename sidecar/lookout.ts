import { setTimeout as sleep } from 'node:timers/promises'
import type { Acting } from './acting'
import type { Catalog } from './catalog'
import { compare } from './contradiction'
import type { Doorbell } from './doorbell'
import type { Log } from './log'
import type { SetKey } from './protocol'
import type { DecidedSet } from './records'

const BUSY = 20 // ms without a new set after which polling gives way to sleep; meanwhile the server looks each millisecond (_look.sql)
const POLL = 1 // ms between looks, where the server does not wait for sets
const LONGEST_POLL = 100 // ms between looks while some session stays "committing" (a SET CONSTRAINTS IMMEDIATE, or a squatter)
const PRESSED = 250 // ms between looks for requests alone, while too much is in hand

const LEAST = 100 // sets in the first portion of a look, each further one has twice as many: what was decided first need not wait for thousands to be read
const MOST = 1600 // sets in a portion
const AHEAD = 250 // ms that the first portion of all may have for itself, until one of its branches is finished: reading the others keeps the process busy while it connects to the nodes

/**
 * Branches handed to nodes that answer, and results not yet written back, at which no further sets are read. A node that is
 * slow or away bounds its part by itself: a branch that waits for it holds one of its prepared slots, and without a free slot
 * there nothing more is decided. So what is in hand, here and in the state files, never exceeds max_prepared_transactions
 * summed over the nodes; this bound is for nodes with very many.
 */
const BACKLOG = 20_000

/** A look goes on after this set; once it is whole, the next one is of what came since `upTo`. */
interface Portion {
    readonly most: number
    readonly after: SetKey | undefined
    readonly upTo: string | undefined
}

const FIRST: Portion = { most: LEAST, after: undefined, upTo: undefined }

interface Parts {
    readonly doorbell: Doorbell
    readonly log: Log
    /** The slow look. */
    readonly scanInterval: number
}

/** Looks for new commit records and requests, and hands them on. */
export class Lookout {
    /** When it last looked. */
    lookedAt = new Date()

    constructor(private readonly parts: Parts) {}

    /**
     * Polls while there is work, sleeps until the doorbell rings while there is none (the argument stands in
     * sql/internal/_ring.sql). Every way out of sleep ends in a look, and a slow look comes in any case. Ends when `over` says so.
     */
    async keep(catalog: Catalog, acting: Acting, over: () => boolean, onRequests: () => void): Promise<void> {
        const { doorbell, scanInterval } = this.parts
        let since: string | undefined
        let portion: Portion = FIRST
        let awake = false
        let asleep = false
        let lastWork = Date.now()
        let pause = POLL
        acting.resolver.doubt()
        const look = async (patience: number): Promise<boolean> => {
            const { most, after, upTo } = portion
            const { snapshot, sets, requests } = await catalog.look(since, after === undefined ? patience : 0, most, after)
            this.lookedAt = new Date()
            if (sets.length > 0) this.decide(acting, sets)
            if (sets.length === most) {
                if (since === undefined && after === undefined) await Promise.race([acting.resolver.firstFinished, sleep(AHEAD)])
                portion = { most: Math.min(2 * most, MOST), after: newest(sets), upTo: upTo ?? snapshot }
                return true
            }
            if (since === undefined) await compare(acting.resolver, catalog, this.parts.log)
            since = upTo ?? snapshot
            portion = FIRST
            acting.resolver.start()
            if (requests) onRequests()
            return sets.length > 0
        }
        while (!over()) {
            if (since !== undefined && acting.nodes.waiting + acting.resolver.unwritten > BACKLOG) {
                // People must be able to act just now.
                onRequests()
                await sleep(PRESSED)
            } else if (await look(awake ? BUSY : 0)) {
                lastWork = Date.now()
                pause = POLL
                asleep = false
                if (!awake && portion === FIRST) awake = await catalog.stayAwake()
            } else if (awake && Date.now() - lastWork < BUSY) {
                await sleep(POLL)
            } else if (asleep) {
                // It has not said "awake" since it fell asleep, so whoever committed since has rung: at once, if not before this wait.
                await doorbell.wait(scanInterval)
            } else {
                const quiet = await catalog.fallAsleep(awake)
                awake = false
                if (await look(0)) {
                    lastWork = Date.now()
                    continue
                }
                asleep = quiet
                await doorbell.wait(quiet ? scanInterval : Math.min(pause, scanInterval))
                pause = quiet ? POLL : Math.min(pause * 2, LONGEST_POLL)
            }
        }
    }

    private decide({ resolver, nodes }: Acting, sets: readonly DecidedSet[]): void {
        void resolver.decide(sets, nodes.uriOf).catch((error: unknown) => this.parts.log.error('decide', { error: String(error) }))
    }
}

/** The last in the order in which they are read. */
const newest = (sets: readonly DecidedSet[]): SetKey => sets.reduce((last, set) => (isBefore(last, set) ? set : last))

function isBefore(one: SetKey, other: SetKey): boolean {
    const [a, b] = [BigInt(one.xid), BigInt(other.xid)]
    return a < b || (a === b && one.nonce < other.nonce)
}
