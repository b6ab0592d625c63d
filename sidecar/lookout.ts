import { setTimeout as sleep } from 'node:timers/promises'
import type { Acting } from './acting'
import type { Catalog } from './catalog'
import { compare } from './contradiction'
import type { Doorbell } from './doorbell'
import type { Log } from './log'
import type { DecidedSet } from './records'

const BUSY = 20 // ms without a new set after which polling gives way to sleep; meanwhile the server looks each millisecond (_look.sql)
const POLL = 1 // ms between looks, where the server does not wait for sets
const LONGEST_POLL = 100 // ms between looks while some session stays "committing" (a SET CONSTRAINTS IMMEDIATE, or a squatter)
const PRESSED = 250 // ms between looks for requests alone, while too much is in hand

/**
 * Branches handed to nodes that answer, and results not yet written back, at which no further sets are read. A node that is
 * slow or away bounds its part by itself: a branch that waits for it holds one of its prepared slots, and without a free slot
 * there nothing more is decided. So what is in hand, here and in the state files, never exceeds max_prepared_transactions
 * summed over the nodes; this bound is for nodes with very many.
 */
const BACKLOG = 20_000

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
        let awake = false
        let asleep = false
        let lastWork = Date.now()
        let pause = POLL
        const look = async (patience: number): Promise<boolean> => {
            const { snapshot, sets, requests } = await catalog.look(since, patience)
            if (since === undefined) await compare(acting.resolver, catalog, this.parts.log)
            since = snapshot
            this.lookedAt = new Date()
            if (sets.length > 0) this.decide(acting, sets)
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
                if (!awake) awake = await catalog.stayAwake()
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
