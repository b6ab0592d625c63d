import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { NO_FAULTS, type FaultPoints } from './fault'
import { setId } from './protocol'
import { Refusal } from './refusal'
import { parseLine, type StateEvent } from './statelines'

/** What the state files say: the lines of each live set, oldest first. */
export interface Replayed {
    readonly coordinator: string | undefined
    readonly live: Map<string, { readonly lines: string[]; readonly events: StateEvent[] }>
    readonly segment: number
    readonly stale: readonly string[]
    /** Where the last file was torn, for the log: a crash left a line, or a set's lines, unfinished, and they were dropped. */
    readonly torn: string | undefined
}

const SEGMENT = /^state-(\d{10})\.log$/

/** A file still being compacted into has this behind its name, and is nobody's word yet. */
export const UNFINISHED = '.new'

export const segmentName = (number: number): string => `state-${String(number).padStart(10, '0')}.log`

/**
 * Reads the state files back. Each opens with a header and a compacted copy of every set then live, closed by a
 * "compacted" line, and gets its name only once all that is on disk: so the newest file tells everything, and older
 * ones are left over from a crash before their removal. Only the very last line may be unfinished, and the last sets may
 * lack lines (a crash while they were written, so nobody was told they were safe); damage anywhere else stops the start.
 * Whole lines lost from the end by damage, not by a crash, leave no trace: the commit records bring those sets back.
 *
 * Behind the text there may be zeros, room made ahead that the writes go over (segment.ts). A write is begun when the one before it
 * is on disk, so a crash can leave only the last one in part, and as disks write blocks in any order, in any part: where a block of
 * it is missing there are the zeros that stood there before. So a line with zeros in it, behind the compacted part, is where the last
 * write was torn, unless a later write is marked behind it: that one was begun after all of this was on disk, and it is damage. What follows
 * the zeros is of the torn write too, and nobody was told that it is safe: it is dropped with them. A line that is bad without zeros is
 * damage wherever it stands, and so is a mark that does not stand where it says: lines were lost, or added, before it.
 */
export async function replay(directory: string, fault: FaultPoints = NO_FAULTS): Promise<Replayed> {
    const names = await readdir(directory)
    const segments = names.filter((name) => SEGMENT.test(name)).sort()
    const newest = segments.at(-1)
    const stale = [...segments, ...names.filter((name) => name.endsWith(UNFINISHED))]
    if (newest === undefined) return { coordinator: undefined, live: new Map(), segment: 0, stale, torn: undefined }
    const read = await readSegment(directory, newest)
    await fault.at('during replay')
    for (const older of segments.slice(0, -1)) await checkOwner(join(directory, older), read.coordinator)
    return { ...read, segment: numberOf(newest), stale }
}

const numberOf = (name: string): number => Number(SEGMENT.exec(name)![1])

const ZEROS = /\0+/g
const BLOCK = 512 // bytes that every disk writes wholly or not at all

async function readSegment(directory: string, name: string): Promise<Pick<Replayed, 'coordinator' | 'live' | 'torn'>> {
    const path = join(directory, name)
    const lines = withoutRoom(await readFile(path)).split('\n')
    const rest = lines.pop()!
    const live: Replayed['live'] = new Map()
    const header = parseLine(lines[0] ?? '')
    if (header?.kind !== 'header') throw damaged(path, 1)
    // A copy under another name would bring back an earlier state of things.
    if (header.segment !== numberOf(name)) throw misnamed(path, header.segment)
    let compacted = false
    let at = 0
    for (const [index, line] of lines.entries()) {
        const event = index === 0 ? header : parseLine(line)
        if (event === undefined && compacted && !header.unmarked && isTorn(line, at, [...lines.slice(index + 1), rest]))
            return tornAt(path, index + 1, header, live)
        if (event === undefined || (event.kind === 'header' && index > 0)) throw damaged(path, index + 1)
        if (event.kind === 'compacted') {
            if (compacted || event.sets !== live.size) throw damaged(path, index + 1)
            compacted = true
        }
        if (event.kind === 'write' && (!compacted || event.at !== at)) throw damaged(path, index + 1)
        if ('set' in event) apply(live, line, event)
        at += line.length + 1
    }
    // A whole line that ends in something else than a line break was not torn by a crash.
    const torn = parseLine(rest.slice(0, -1)) === undefined && (!rest.includes('\0') || isTorn(rest, at, []))
    if (!compacted || !torn) throw damaged(path, lines.length + 1)
    const unclosed = dropUnclosed(live)
    return { coordinator: header.coordinator, live, torn: rest === '' && !unclosed ? undefined : `${path}, line ${lines.length + 1}` }
}

/** The text of a file, without the room behind it. */
function withoutRoom(bytes: Buffer): string {
    let end = bytes.length
    while (end > 0 && bytes[end - 1] === 0) end -= 1
    return bytes.toString('latin1', 0, end)
}

/**
 * Whether a bad line, which begins at this byte, is where a crash tore the last write: whole blocks of zeros, or the write's first to the
 * end of its block, and no mark of a later write behind them.
 */
function isTorn(line: string, at: number, behind: readonly string[]): boolean {
    const holes = [...line.matchAll(ZEROS)]
    const blocks = holes.every(
        ({ index, 0: hole }) => (index === 0 || (at + index) % BLOCK === 0) && (at + index + hole.length) % BLOCK === 0
    )
    const isMark = (one: string): boolean => parseLine(one)?.kind === 'write'
    return holes.length > 0 && blocks && ![line.slice(holes[0]!.index), ...behind].some((one) => one.split(ZEROS).some(isMark))
}

function tornAt(
    path: string,
    line: number,
    { coordinator }: { readonly coordinator: string },
    live: Replayed['live']
): Pick<Replayed, 'coordinator' | 'live' | 'torn'> {
    dropUnclosed(live)
    return { coordinator, live, torn: `${path}, line ${line}` }
}

/** Older files are removed unread: not so another coordinator's, which someone put here. */
async function checkOwner(path: string, coordinator: string | undefined): Promise<void> {
    const file = await open(path)
    const { bytesRead, buffer } = await file.read(Buffer.alloc(1024), 0, 1024, 0).finally(() => file.close())
    const header = parseLine(buffer.toString('latin1', 0, bytesRead).split('\n')[0]!)
    if (header?.kind !== 'header' || header.coordinator === coordinator) return
    throw new Refusal(
        `${path} belongs to coordinator ${header.coordinator}, the newest file here to ${coordinator}`,
        'Give each coordinator a state directory of its own: move the file to where it belongs.'
    )
}

/** A set without its "phase commit" was torn while it was entered: taken for whole, it would be complete without its other branches. */
function dropUnclosed(live: Replayed['live']): boolean {
    const unclosed = [...live].filter(([, { events }]) => !events.some((event) => event.kind === 'phase'))
    for (const [id] of unclosed) live.delete(id)
    return unclosed.length > 0
}

function apply(live: Replayed['live'], line: string, event: Extract<StateEvent, { set: unknown }>): void {
    const id = setId(event.set)
    if (event.kind === 'phase' && event.phase === 'complete') {
        live.delete(id)
        return
    }
    const set = live.get(id) ?? { lines: [], events: [] }
    set.lines.push(line)
    set.events.push(event)
    live.set(id, set)
}

const damaged = (path: string, line: number): Refusal =>
    new Refusal(
        `${path}, line ${line}, is damaged: its checksum does not match, or the file ends too early`,
        'The sidecar will not guess what stood there. Keep a copy of the directory, then restore the file; or move the file away and start again: ' +
            'what it held is rebuilt from the commit records in the database, which must be reachable and no older than the file.'
    )

const misnamed = (path: string, segment: number): Refusal =>
    new Refusal(
        `${path} is a copy of ${segmentName(segment)} under another name`,
        'It would bring back an earlier state of things. Give it its name back, or move it away.'
    )
