import type { Catalog } from './catalog'
import type { Log } from './log'
import type { DatedEntry } from './records'
import { messageOf } from './sqlstate'

const BATCH = 1000 // entries per statement: it must not hold up what else the housekeeping does
const MOST = 20_000 // entries kept while the coordinator is away: some megabytes

/**
 * What people will want to read when it is over. Noting costs an array element, so that it can be done anywhere; the
 * housekeeping writes. What cannot be written waits, up to a bound: then the oldest go, and a line says how many.
 * A crash of the sidecar loses what was not written: no decision is ever read from here.
 */
export class Journal {
    private waiting: DatedEntry[] = []
    private dropped = 0
    private flushing: Promise<void> | undefined

    constructor(
        private readonly log: Log,
        private readonly most = MOST
    ) {}

    note(kind: string, detail: string, about: { readonly set?: string | undefined; readonly node?: number | undefined } = {}): void {
        this.waiting.push({ kind, detail, ...about, at: new Date().toISOString() })
        const excess = this.waiting.length - this.most
        // A tenth at once: shifting a long array for each entry would cost more than the entry.
        if (excess > 0) this.dropped += this.waiting.splice(0, excess + Math.floor(this.most / 10)).length
    }

    /** Entries not written yet. */
    get unwritten(): number {
        return this.waiting.length
    }

    /** Writes what there is, in batches; what fails stays for the next call. Never throws. */
    async flush(catalog: Pick<Catalog, 'noteEvents'>): Promise<void> {
        this.flushing ??= this.write(catalog).finally(() => (this.flushing = undefined))
        await this.flushing
    }

    private async write(catalog: Pick<Catalog, 'noteEvents'>): Promise<void> {
        if (this.dropped > 0) {
            const count = this.dropped
            this.dropped = 0
            this.note('history lost', `${count} entries could not be written while the coordinator was away`)
        }
        while (this.waiting.length > 0) {
            const batch = this.waiting.splice(0, BATCH)
            try {
                await catalog.noteEvents(batch)
            } catch (error) {
                this.waiting.unshift(...batch)
                return this.log.warning('history cannot be written, kept for later', {
                    entries: this.waiting.length,
                    error: messageOf(error)
                })
            }
        }
    }
}
