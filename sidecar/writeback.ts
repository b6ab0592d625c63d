import type { Catalog } from './catalog'
import type { FaultPoints } from './fault'
import type { LiveSet } from './liveset'
import type { Log } from './log'
import type { CompleteRow, FateRow } from './records'

interface Parts {
    readonly log: Log
    readonly fault: FaultPoints
    /** Undefined while the coordinator cannot be reached: results wait. */
    readonly catalog: () => Catalog | undefined
}

const TOGETHER = 4 // ms that results wait for others to be written with them, while other sets are still under way
const MANY = 500 // branches that nodes are still to finish, from which the results of others wait longer
const LONGER = 25 // ms: writing results costs about what finishing branches does. Not more, as it may be one node alone that has so many to finish

/** Results on their way back into SQL. They wait here until the coordinator has taken them. */
export class WriteBack {
    private fates: FateRow[] = []
    private completes: CompleteRow[] = []
    private writing: Promise<boolean> | undefined
    private soon: NodeJS.Timeout | NodeJS.Immediate | undefined
    private writtenAt = 0

    /** `onTold`: these outcomes are committed on the coordinator. */
    constructor(
        private readonly parts: Parts,
        /** Sets in hand. */
        private readonly sets: () => number,
        /** Branches handed to nodes. */
        private readonly branches: () => number,
        private readonly onTold: (outcomes: readonly CompleteRow[]) => void
    ) {}

    get unwritten(): number {
        return this.fates.length + this.completes.length
    }

    /** Fates of the set's branches, each once. */
    addFates(set: LiveSet): void {
        for (const [node, branch] of set.branches) {
            if (branch.fate === undefined || branch.told) continue
            branch.told = true
            this.fates.push({ ...set.key, node, fate: branch.fate, at: new Date().toISOString() })
        }
    }

    addOutcome(outcome: CompleteRow): void {
        this.completes.push(outcome)
    }

    /** Writes what there is; what fails is kept and goes with the next call. */
    async flush(): Promise<void> {
        while (this.unwritten > 0 && (await this.once()));
    }

    /**
     * Each call costs a transaction on the coordinator, so results go together: at once when they are all there is, or none
     * was written for a while.
     */
    flushSoon(): void {
        if (this.soon !== undefined) return
        const together = this.branches() > MANY ? LONGER : TOGETHER
        const wait = this.sets() <= this.completes.length ? 0 : together - (performance.now() - this.writtenAt)
        const flush = async (): Promise<void> => {
            this.soon = undefined
            // What came while it was under way, and waits for no other call: what failed waits for the housekeeping's.
            if ((await this.once()) && this.unwritten > 0) this.flushSoon()
        }
        this.soon = wait > 0 ? setTimeout(() => void flush(), wait) : setImmediate(() => void flush())
    }

    /** Calls that overlap share one. */
    private once(): Promise<boolean> {
        return (this.writing ??= this.write().finally(() => (this.writing = undefined)))
    }

    /** One batch; false when it was not written. */
    private async write(): Promise<boolean> {
        const catalog = this.parts.catalog()
        if (catalog === undefined) return false
        this.writtenAt = performance.now()
        const fates = this.fates.splice(0)
        const completes = this.completes.splice(0)
        try {
            if (completes.length > 0) await this.parts.fault.at('before write-back')
            if (fates.length + completes.length > 0) await catalog.finish(fates, completes)
            if (completes.length > 0) await this.parts.fault.at('after write-back')
        } catch (error) {
            this.fates = [...fates, ...this.fates]
            this.completes = [...completes, ...this.completes]
            this.parts.log.warning('write-back failed, kept for later', { error: String(error) })
            return false
        }
        this.onTold(completes)
        return true
    }
}
