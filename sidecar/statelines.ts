import { crc32 } from 'node:zlib'
import { setId, type SetKey } from './protocol'

/**
 * The text of the state files, pure: one line per event,
 *
 *     <set id> <time> <action> <uri without password> <gid> <status> [name=value …] <checksum>
 *     <set id> <time> phase <phase> <checksum>
 *
 * and lines whose set id is "-": the header and the end of the compacted part, which open each file, and in front of each write
 * behind them the byte at which it begins. A set's branches stand before its "phase commit", which says that they are all there.
 * The checksum is CRC-32 of everything before it, 8 hex digits.
 */

export interface BranchFacts {
    readonly node: number
    readonly gid: string
    readonly uri: string
    /** What identifies the branch on its node; undefined for an enlisted branch that was not verified. */
    readonly xid: string | undefined
    readonly timeline: string | undefined
    readonly owner: string | undefined
}

export type StateEvent =
    /** `unmarked`: of a file whose writes have no marks, as earlier versions wrote them. */
    | { readonly kind: 'header'; readonly coordinator: string; readonly home: string; readonly segment: number; readonly unmarked?: true }
    | { readonly kind: 'compacted'; readonly sets: number }
    | { readonly kind: 'write'; readonly at: number }
    | { readonly kind: 'phase'; readonly set: SetKey; readonly phase: 'commit' | 'incomplete' | 'complete' }
    | { readonly kind: 'branch'; readonly set: SetKey; readonly branch: BranchFacts; readonly status: BranchStatus }

export type BranchStatus = 'pending' | 'committed' | 'rolled-back' | 'unknown'

const STATUSES: readonly BranchStatus[] = ['pending', 'committed', 'rolled-back', 'unknown']

const PLAIN = /^[\x20-\x7e]+$/

/** `time`: as text, in ISO form, for many lines of one time. */
export function formatLine(event: StateEvent, time: Date | string): string {
    const at = typeof time === 'string' ? time : time.toISOString()
    const body = `${'set' in event ? setId(event.set) : '-'} ${at} ${bodyOf(event)}`
    // Everything that could hold other bytes is escaped where it is made: a line that cannot be read back must never be written.
    if (!PLAIN.test(body) || (event.kind === 'branch' && (event.branch.uri.includes(' ') || event.branch.gid.includes(' '))))
        throw new Error(`no plain text for the state files: ${JSON.stringify(event)}`)
    return `${body} ${checksum(body)}\n`
}

function bodyOf(event: StateEvent): string {
    switch (event.kind) {
        case 'header':
            return `pglobalxact-state ${event.unmarked ? 1 : 2} coordinator=${event.coordinator} home=${event.home} segment=${event.segment}`
        case 'compacted':
            return `compacted sets=${event.sets}`
        case 'write':
            return `write at=${event.at}`
        case 'phase':
            return `phase ${event.phase}`
        case 'branch': {
            const { branch } = event
            const { node, xid, timeline, owner } = branch
            const facts = `node=${node}${fact('xid', xid)}${fact('timeline', timeline)}${fact('owner', owner)}`
            return `commit ${branch.uri} ${branch.gid} ${event.status} ${facts}`
        }
    }
}

const fact = (name: string, value: string | undefined): string => (value === undefined ? '' : ` ${name}=${encodeURIComponent(value)}`)

const checksum = (body: string): string => crc32(body).toString(16).padStart(8, '0')

/** When a good line was written. */
export const timeOf = (line: string): Date => new Date(line.split(' ', 2)[1]!)

/** Undefined for a line that is damaged or of no known form. */
export function parseLine(line: string): StateEvent | undefined {
    const cut = line.lastIndexOf(' ')
    if (cut < 0 || checksum(line.slice(0, cut)) !== line.slice(cut + 1)) return undefined
    try {
        return parseBody(line.slice(0, cut))
    } catch {
        return undefined // a malformed %-escape
    }
}

function parseBody(body: string): StateEvent | undefined {
    const [id, , word, ...rest] = body.split(' ')
    if (id === '-') return parseFrame(word, rest)
    const key = /^([1-9]\d*)_([0-9a-f]{8})$/.exec(id ?? '')
    if (key === null) return undefined
    const set = { xid: key[1]!, nonce: key[2]! }
    if (word === 'phase') return parsePhase(set, rest)
    return word === 'commit' ? parseBranch(set, rest) : undefined
}

function parseFrame(word: string | undefined, rest: readonly string[]): StateEvent | undefined {
    const given = facts(rest)
    if (word === 'compacted') {
        const sets = wholeNumber(given.get('sets'))
        return sets === undefined ? undefined : { kind: 'compacted', sets }
    }
    if (word === 'write') {
        const at = wholeNumber(given.get('at'))
        return at === undefined ? undefined : { kind: 'write', at }
    }
    const [coordinator, home, segment] = [given.get('coordinator'), given.get('home'), wholeNumber(given.get('segment'))]
    if (word !== 'pglobalxact-state' || !/^[12]$/.test(rest[0] ?? '') || !coordinator || !home || segment === undefined) return undefined
    return { kind: 'header', coordinator, home, segment, ...(rest[0] === '1' && { unmarked: true }) }
}

function parsePhase(set: SetKey, rest: readonly string[]): StateEvent | undefined {
    const phase = (['commit', 'incomplete', 'complete'] as const).find((known) => known === rest[0])
    return phase === undefined || rest.length !== 1 ? undefined : { kind: 'phase', set, phase }
}

function parseBranch(set: SetKey, rest: readonly string[]): StateEvent | undefined {
    const [uri, gid, word, ...more] = rest
    const status = STATUSES.find((known) => known === word)
    const given = facts(more)
    const node = wholeNumber(given.get('node'))
    if (!uri || !gid || status === undefined || node === undefined) return undefined
    const branch = { node, gid, uri, xid: given.get('xid'), timeline: given.get('timeline'), owner: given.get('owner') }
    return { kind: 'branch', set, status, branch }
}

const facts = (words: readonly string[]): Map<string, string> =>
    new Map(
        words.map((word): [string, string] => {
            const cut = word.indexOf('=')
            return [word.slice(0, Math.max(cut, 0)), decodeURIComponent(word.slice(cut + 1))]
        })
    )

const wholeNumber = (text: string | undefined): number | undefined => (text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined)
