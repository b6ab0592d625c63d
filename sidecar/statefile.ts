import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { FaultPoints } from './fault'
import type { Log } from './log'
import { setId } from './protocol'
import { segmentName, UNFINISHED, type Replayed } from './replay'
import { Segment } from './segment'
import { messageOf } from './sqlstate'
import { syncDirectory } from './statedir'
import { formatLine, type StateEvent } from './statelines'
import type { Tally } from './tally'

function linesIn(text: string): number {
    let lines = 0
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines += 1
    return lines
}

/**
 * The durable record of every decided set that is not complete. Appends are grouped: whatever lines wait when the disk
 * is free go out in one write and one fsync. A write that fails (full disk, I/O error) is never taken for done: the
 * file is given up, as its tail is unknown, and everything live is written to a new one until that succeeds.
 */
export class StateFile {
    private readonly live = new Map<string, string[]>()
    private waiting: { readonly lines: string; readonly done: () => void }[] = []
    private lazy = ''
    private writing: Promise<void> | undefined
    private file: Segment | undefined
    private sizeWhenCompacted = 0
    private stale: string[] = []
    private closed = false
    /** Why lines cannot be written at present, in words for status(); undefined when all is well. */
    problem: string | undefined

    private constructor(
        private readonly directory: string,
        private readonly frame: { readonly coordinator: string; readonly home: string },
        private readonly limits: { readonly segmentBytes: number },
        private segment: number,
        private readonly log: Log,
        private readonly fault: FaultPoints,
        private readonly tally: Tally | undefined
    ) {}

    /** Opens over what `replay` read. The old files are removed once their live lines stand in a new one. */
    static open(
        directory: string,
        frame: { readonly coordinator: string; readonly home: string },
        limits: { readonly segmentBytes: number },
        read: Replayed,
        log: Log,
        fault: FaultPoints,
        tally?: Tally
    ): StateFile {
        const state = new StateFile(directory, frame, limits, read.segment, log, fault, tally)
        for (const [id, { lines }] of read.live) state.live.set(id, lines)
        state.stale = [...read.stale]
        return state
    }

    get sets(): number {
        return this.live.size
    }

    get bytes(): number {
        return this.file?.size ?? 0
    }

    linesOf(id: string | undefined): readonly string[] {
        return id === undefined ? [...this.live.values()].flat() : (this.live.get(id) ?? [])
    }

    /** Resolves when the lines are on disk, however long the disk refuses: nothing may be sent on their strength before. */
    append(events: readonly StateEvent[]): Promise<void> {
        return new Promise((done) => {
            this.waiting.push({ lines: this.take(events), done })
            this.kick()
        })
    }

    /**
     * Lines that may be lost in a crash, because what they say can be found out again: they go out with the next write.
     * What is said of a set that is complete is not kept.
     */
    note(events: readonly StateEvent[]): void {
        this.lazy += this.take(events.filter((event) => 'set' in event && this.live.has(setId(event.set))))
    }

    /** Writes what was only noted, and removes the files when no set is live. Called when there is nothing better to do. */
    async tidy(): Promise<void> {
        if (this.lazy !== '' || (this.live.size === 0 && (this.file !== undefined || this.stale.length > 0))) {
            this.kick()
        }
        await this.writing
    }

    /** Writes what waits, or gives up at the next refusal of the disk: then nobody is told that it is safe. */
    async close(): Promise<void> {
        const tidied = this.tidy()
        this.closed = true
        await tidied
        await this.file?.close(true)
        this.file = undefined
    }

    private take(events: readonly StateEvent[]): string {
        const time = new Date().toISOString()
        let text = ''
        for (const event of events) {
            const line = formatLine(event, time)
            text += line
            if (!('set' in event)) continue
            const id = setId(event.set)
            if (event.kind === 'phase' && event.phase === 'complete') {
                this.live.delete(id)
                continue
            }
            const lines = this.live.get(id)
            if (lines === undefined) this.live.set(id, [line.slice(0, -1)])
            else lines.push(line.slice(0, -1))
        }
        return text
    }

    private kick(): void {
        if (this.writing !== undefined || this.closed) return
        this.writing = this.drain()
    }

    private async drain(): Promise<void> {
        try {
            do {
                const group = this.waiting
                this.waiting = []
                const text = this.lazy + group.map((one) => one.lines).join('')
                this.lazy = ''
                if (!(await this.write(text))) return
                for (const one of group) one.done()
            } while (this.waiting.length > 0)
        } finally {
            // In the same breath as the look at what waits: whoever is told "done" may append again at once.
            this.writing = undefined
        }
    }

    /**
     * Retries until the text is durable; false when closed before. `live` holds it already, so a new file's compacted part
     * carries it too.
     */
    private async write(text: string): Promise<boolean> {
        for (;;) {
            try {
                if (this.live.size === 0 && this.waiting.length === 0) await this.removeAll()
                else if (this.file === undefined || this.file.size > Math.max(this.limits.segmentBytes, 2 * this.sizeWhenCompacted))
                    await this.compact()
                else await this.add(this.file, text)
                if (this.problem !== undefined) this.log.info('state files can be written again')
                this.problem = undefined
                return true
            } catch (error) {
                await this.giveUp(error)
                if (this.closed) return false
                await new Promise((done) => setTimeout(done, 250))
            }
        }
    }

    /** The mark in front says where this write begins: that everything before it was on disk by then (replay.ts). */
    private async add(file: Segment, text: string): Promise<void> {
        await file.write(formatLine({ kind: 'write', at: file.size }, new Date()) + text)
        await this.sync(() => file.flush(), text)
        const name = segmentName(this.segment)
        if (!file.isAt(join(this.directory, name))) throw new Error(`${name} was replaced by another file`)
    }

    private async sync(flush: () => Promise<void>, text: string): Promise<void> {
        await this.fault.at('before fsync')
        const began = performance.now()
        await flush()
        if (this.tally !== undefined) this.tally.synced(performance.now() - began, linesIn(text))
    }

    private async giveUp(error: unknown): Promise<void> {
        const message = `state files cannot be written: ${messageOf(error)}`
        if (this.problem !== message)
            this.log.error('state files cannot be written', { directory: this.directory, error: messageOf(error) })
        this.problem = message
        await this.retire()
    }

    /** A new file with every live line: durable, then named, then the old ones go. A crash between leaves both, and the newer speaks. */
    private async compact(): Promise<void> {
        const number = this.segment + 1
        const path = join(this.directory, segmentName(number))
        await rm(path + UNFINISHED, { force: true })
        const file = await Segment.create(path + UNFINISHED)
        try {
            const now = new Date().toISOString()
            const text =
                formatLine({ kind: 'header', ...this.frame, segment: number }, now) +
                [...this.live.values()]
                    .flat()
                    .map((line) => `${line}\n`)
                    .join('') +
                formatLine({ kind: 'compacted', sets: this.live.size }, now)
            await file.begin(text, (flush) => this.sync(flush, text))
            await this.fault.at('before rename')
            await rename(path + UNFINISHED, path)
            await syncDirectory(this.directory)
            this.sizeWhenCompacted = file.size
        } catch (error) {
            await file.close()
            await rm(path + UNFINISHED, { force: true }).catch(() => undefined)
            throw error
        }
        await this.fault.at('during compaction')
        await this.retire()
        this.file = file
        this.segment = number
        await this.removeStale()
    }

    /** Closes the present file; its name is removed with the stale ones. */
    private async retire(): Promise<void> {
        if (this.file === undefined) return
        this.stale.push(segmentName(this.segment))
        await this.file.close().catch(() => undefined)
        this.file = undefined
    }

    private async removeAll(): Promise<void> {
        await this.fault.at('before removal')
        await this.retire()
        await this.removeStale()
    }

    /** Oldest first: were the newest gone first, an older file would speak for it after a crash. */
    private async removeStale(): Promise<void> {
        if (this.stale.length === 0) return
        for (const name of [...new Set(this.stale)].sort()) await rm(join(this.directory, name), { force: true })
        this.stale = []
        await syncDirectory(this.directory)
    }
}
