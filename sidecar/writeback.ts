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

/** Results on their way back into SQL. They wait here until the coordinator has taken them. */
export class WriteBack {
    private fates: FateRow[] = []
    private completes: CompleteRow[] = []
    private writing: Promise<void> | undefined

    /** `onTold`: these outcomes are committed on the coordinator. */
    constructor(
        private readonly parts: Parts,
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

    /** Writes what there is, in batches; what fails is kept and goes with the next call. Calls that overlap share one. */
    async flush(): Promise<void> {
        this.writing ??= this.write().finally(() => (this.writing = undefined))
        await this.writing
    }

    private async write(): Promise<void> {
        const catalog = this.parts.catalog()
        while (catalog !== undefined && this.unwritten > 0) {
            const fates = this.fates.splice(0)
            const completes = this.completes.splice(0)
            try {
                if (completes.length > 0) await this.parts.fault.at('before write-back')
                await catalog.finish(fates, completes)
                if (completes.length > 0) await this.parts.fault.at('after write-back')
            } catch (error) {
                this.fates.unshift(...fates)
                this.completes.unshift(...completes)
                this.parts.log.warning('write-back failed, kept for later', { error: String(error) })
                return
            }
            this.onTold(completes)
        }
    }
}
