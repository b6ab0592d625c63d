import { setTimeout as sleep } from 'node:timers/promises'
import type { Acting } from './acting'
import { StateAlarm } from './alarm'
import type { Catalog } from './catalog'
import type { Config } from './config'
import type { Doorbell } from './doorbell'
import type { Journal } from './journal'
import type { Figures } from './records'
import { messageOf } from './sqlstate'

const HEARTBEAT = 5000
const FIGURES = 2000 // ms between looks at what only the database counts
const ECHO = 10_000
const PURGE = 60_000
const PURGE_BATCH = 1000 // sql/sidecar/_purge.sql
const PURGE_PAUSE = 50

interface Parts {
    readonly config: Config
    readonly doorbell: Doorbell
    readonly journal: Journal
    readonly lookedAt: () => Date
    readonly complain: (what: string) => void
    /** Of restore points that were broken off. */
    readonly tidy: (catalog: Catalog, acting: Acting) => void
}

/** What an acting sidecar does about once a second, whether there are sets or not. */
export class Housekeeping {
    private readonly stateAlarm = new StateAlarm()
    private wake: (() => void) | undefined
    private purging = false
    private last = { heartbeat: 0, echo: 0, figures: 0, purge: 0, problem: '' }
    /** For the metrics; undefined where they are not asked for, or this sidecar waits. */
    figures: Figures | undefined

    constructor(private readonly parts: Parts) {}

    /** Until `over` says so. */
    async keep(catalog: Catalog, acting: Acting, over: () => boolean): Promise<void> {
        const { config, complain } = this.parts
        while (!over()) {
            await this.chores(catalog, acting, over).catch((error: unknown) => complain(`housekeeping: ${messageOf(error)}`))
            if (!over()) await this.rest(Math.min(config.scanInterval, 1000))
        }
    }

    /** The connection is lost, or the process is to end: no reason to sleep on. */
    hurry(): void {
        this.wake?.()
    }

    private rest(ms: number): Promise<void> {
        return new Promise((done) => {
            const timer = setTimeout(done, ms)
            this.wake = () => {
                clearTimeout(timer)
                done()
            }
        })
    }

    /**
     * Beside the other chores, which it must not hold up: after the retention time of a busy week there is a million to delete. Small
     * batches with pauses between them, each a transaction of its own, so that nothing else waits for one for long.
     */
    private async purge(catalog: Catalog, over: () => boolean): Promise<void> {
        if (this.purging) return
        this.purging = true
        try {
            while (!over() && (await catalog.purge()) === PURGE_BATCH) await sleep(PURGE_PAUSE)
        } catch (error) {
            if (!over()) this.parts.complain(`purge: ${messageOf(error)}`)
        } finally {
            this.purging = false
        }
    }

    private async chores(catalog: Catalog, acting: Acting, over: () => boolean): Promise<void> {
        const { config, doorbell, journal, complain, lookedAt } = this.parts
        const now = Date.now()
        acting.resolver.tellProgress()
        await acting.resolver.writeBack()
        await journal.flush(catalog)
        await acting.nodes.refresh(catalog)
        void acting.state.tidy()
        this.parts.tidy(catalog, acting)
        const problem = acting.state.problem ?? ''
        if (now - this.last.heartbeat > HEARTBEAT || problem !== this.last.problem) {
            this.last.heartbeat = now
            this.last.problem = problem
            await catalog.rememberPeers()
            await catalog.heartbeat({
                bytes: acting.state.bytes,
                sets: acting.state.sets,
                note: problem || 'acting',
                lookedAt: lookedAt(),
                queued: acting.nodes.waiting,
                unwritten: acting.resolver.unwritten
            })
        }
        await this.stateAlarm.tell(catalog, acting.state.problem)
        if (config.metrics !== undefined && now - this.last.figures > FIGURES) {
            this.last.figures = now
            this.figures = await catalog.figures()
        }
        if (now - this.last.echo > ECHO) {
            this.last.echo = now
            if (!doorbell.alive()) complain('the doorbell does not answer: new sets are found by the slow look only')
        }
        void doorbell.open()
        if (now - this.last.purge > PURGE) {
            this.last.purge = now
            void this.purge(catalog, over)
        }
    }
}
