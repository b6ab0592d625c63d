import { statSync, writeSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'

const WORTH = 16_384 // bytes appended from which a file is worth room ahead: one that holds a few sets, and goes when they are complete, is not
const MOST_ROOM = 1 << 20 // bytes of room made at a time

/**
 * One file of the state files, opened to be written. An fdatasync behind a write that makes the file longer waits for the file system's
 * journal as well, and takes several times as long as one behind a write in place. So a file that is written to much has room made ahead,
 * zeros on disk, and what is appended is written over them. Then a file ends where its zeros begin, and a crash may leave any part of
 * the last write undone, not only its end: what that means for reading stands in replay.ts.
 *
 * Room is made beside the writes, and never where one could be under way: only from the end of the file on, while an append that does not
 * fit before it waits. It is nobody's word: failing to make it (a full disk) costs only the time that it would save.
 */
export class Segment {
    /** Bytes of text; behind them there are zeros or nothing. */
    size = 0
    private end = 0
    private appended = 0
    private making: Promise<void> | undefined
    private roomless = false
    /** Which file that is: it may be given another name, and its name to another file. */
    private identity: { readonly ino: number; readonly dev: number } | undefined

    private constructor(private readonly file: FileHandle) {}

    static async create(path: string): Promise<Segment> {
        return new Segment(await open(path, 'wx', 0o600))
    }

    /** What it opens with, on disk when this returns. Returns nothing to be had before. */
    async begin(text: string, sync: (flush: () => Promise<void>) => Promise<void>): Promise<void> {
        await this.file.writeFile(text)
        await sync(() => this.file.sync())
        this.size = this.end = Buffer.byteLength(text)
        const { ino, dev } = await this.file.stat()
        this.identity = { ino, dev }
    }

    /** Into the system's cache at once, for less than it costs to ask another thread; `flush` brings it to the disk. */
    async write(text: string): Promise<void> {
        const bytes = Buffer.from(text, 'latin1')
        while (this.making !== undefined && this.size + bytes.length > this.end) await this.making
        const written = writeSync(this.file.fd, bytes, 0, bytes.length, this.size)
        this.size += written
        this.end = Math.max(this.end, this.size)
        if (written !== bytes.length) throw new Error('short write')
        this.appended += written
        if (this.appended > WORTH && !this.roomless && this.making === undefined && this.end - this.size < this.room / 2) this.makeRoom()
    }

    flush(): Promise<void> {
        return this.file.datasync()
    }

    /** What stands in a file that was removed, or in a directory that was replaced, is on disk for nobody. Asked here: from another thread it costs more than all the rest of a write. */
    isAt(path: string): boolean {
        const { ino, dev } = statSync(path)
        return ino === this.identity?.ino && dev === this.identity.dev
    }

    /** Waits for what is under way. `tidily`: without the room that was made, as nothing more will be written. */
    async close(tidily = false): Promise<void> {
        await this.making
        if (tidily && this.end > this.size) await this.file.truncate(this.size).catch(() => undefined)
        await this.file.close()
    }

    /** As much again as was appended, so that no file is much longer than what it tells. */
    private get room(): number {
        return Math.min(MOST_ROOM, this.appended)
    }

    private makeRoom(): void {
        const { room, end } = this
        const make = async (): Promise<void> => {
            try {
                const { bytesWritten } = await this.file.write(Buffer.alloc(room), 0, room, end)
                // On disk before a write in place counts on it: that one's fdatasync shall not wait for the journal.
                await this.file.datasync()
                this.end = end + bytesWritten
            } catch {
                this.roomless = true
            }
            this.making = undefined
        }
        this.making = make()
    }
}
