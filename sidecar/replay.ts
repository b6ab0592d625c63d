import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
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
 */
export async function replay(directory: string): Promise<Replayed> {
    const names = await readdir(directory)
    const segments = names.filter((name) => SEGMENT.test(name)).sort()
    const newest = segments.at(-1)
    const stale = [...segments, ...names.filter((name) => name.endsWith(UNFINISHED))]
    if (newest === undefined) return { coordinator: undefined, live: new Map(), segment: 0, stale, torn: undefined }
    return { ...(await readSegment(join(directory, newest))), segment: Number(SEGMENT.exec(newest)![1]), stale }
}

async function readSegment(path: string): Promise<Pick<Replayed, 'coordinator' | 'live' | 'torn'>> {
    const lines = (await readFile(path, 'latin1')).split('\n')
    const rest = lines.pop()!
    const live: Replayed['live'] = new Map()
    let [coordinator, compacted]: [string | undefined, boolean] = [undefined, false]
    for (const [index, line] of lines.entries()) {
        const event = parseLine(line)
        if (event === undefined || (event.kind === 'compacted' && event.sets !== live.size)) throw damaged(path, index + 1)
        if (event.kind === 'header') coordinator = event.coordinator
        if (event.kind === 'compacted') compacted = true
        if ('set' in event) apply(live, line, event)
    }
    // A whole line that ends in something else than a line break was not torn by a crash.
    if (!compacted || parseLine(rest.slice(0, -1)) !== undefined) throw damaged(path, lines.length + 1)
    const unclosed = dropUnclosed(live)
    return { coordinator, live, torn: rest === '' && !unclosed ? undefined : `${path}, line ${lines.length + 1}` }
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
