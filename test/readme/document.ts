/**
 * Transcripts in Markdown, as things to do and things to see.
 *
 *     ```psql            typed as the DBA, at the coordinator
 *     ```psql london     typed as superuser, at that node; "postgres" and "app" are other roles at the coordinator
 *     ```console         typed behind "$ " into a shell on the coordinator's host (console.ts)
 *     bank=> select 1;   behind a prompt (also bank->, bank=*>, bank=#): typed into psql
 *      ?column?          all else: what psql answers
 *
 * A comment such as <!-- stage: kill tokyo --> says what happens between two of them. Fresh servers (<!-- stage: bank -->)
 * begin another act, which knows nothing of those before.
 */
export interface Typed {
    readonly kind: 'typed'
    readonly session: string
    readonly prompts: readonly string[]
    readonly lines: readonly string[]
    readonly answer: readonly string[]
    readonly lineNumber: number
}

export interface Event {
    readonly kind: 'event'
    readonly what: string
    readonly lineNumber: number
}

interface Prose {
    readonly kind: 'prose'
    readonly line: string
}

export type Item = Typed | Event | Prose

const PROMPT = /^(bank[=\-('"$][*!]?[>#]) ?(.*)$/
const SHELL_PROMPT = /^(\$) (.*)$/
const SESSIONS: Readonly<Record<string, string>> = { psql: 'dba', console: 'console' }
const CONTINUED = /^bank[-('"$]/

export function parse(text: string): Item[] {
    const items: Item[] = []
    let session: string | undefined
    for (const [index, line] of text.split('\n').entries()) {
        const lineNumber = index + 1
        const fence = /^```(\w*)\s*(\w*)\s*$/.exec(line)
        const event = /^<!-- stage: (.*) -->$/.exec(line)
        const prompt = session === undefined ? null : (session === 'console' ? SHELL_PROMPT : PROMPT).exec(line)
        const last = items.at(-1)
        if (fence) {
            session = session === undefined ? fence[2] || SESSIONS[fence[1]!] : undefined
            items.push({ kind: 'prose', line })
        } else if (event) {
            items.push({ kind: 'event', what: event[1]!, lineNumber })
        } else if (session !== undefined && prompt) {
            const [, mark = '', typed = ''] = prompt
            if (CONTINUED.test(mark) && last?.kind === 'typed') {
                items[items.length - 1] = { ...last, prompts: [...last.prompts, mark], lines: [...last.lines, typed] }
            } else {
                items.push({ kind: 'typed', session, prompts: [mark], lines: [typed], answer: [], lineNumber })
            }
        } else if (session !== undefined && last?.kind === 'typed') {
            items[items.length - 1] = { ...last, answer: [...last.answer, line] }
        } else {
            items.push({ kind: 'prose', line })
        }
    }
    return items
}

export interface Act {
    /** The heading under which its servers come up. */
    readonly title: string
    readonly items: readonly Item[]
}

/** The parts of a document that have servers of their own; what stands before the first of them goes with it. */
export function acts(items: readonly Item[]): Act[] {
    const fresh = (item: Item): boolean => item.kind === 'event' && (item.what === 'bank' || item.what === 'servers')
    const starts = items.flatMap((item, at) => (fresh(item) ? [at] : []))
    return starts.map((start, act) => ({
        title: headingBefore(items, start),
        items: items.slice(act === 0 ? 0 : start, starts[act + 1])
    }))
}

/** The section, and what it is a part of. */
function headingBefore(items: readonly Item[], end: number): string {
    const lines = items.slice(0, end).flatMap((item) => (item.kind === 'prose' ? [item.line] : []))
    const section = lines.findLastIndex((line) => line.startsWith('## '))
    const part = lines.slice(section + 1).findLast((line) => line.startsWith('### '))
    return [lines[section], part].flatMap((line) => line?.replace(/^#+ /, '') ?? []).join(', ')
}

export function render(items: readonly Item[]): string {
    return items
        .flatMap((item) => {
            if (item.kind === 'prose') return [item.line]
            if (item.kind === 'event') return [`<!-- stage: ${item.what} -->`]
            return [...item.lines.map((line, i) => `${item.prompts[i]} ${line}`.trimEnd()), ...item.answer]
        })
        .join('\n')
        .replace(/\n\n```$/gm, '\n```')
}

/** Names that the document and the servers give to the same thing. */
const NAME = /pgx_([0-9a-f]{8})_(\d+_[0-9a-f]{8})_|(\d+_[0-9a-f]{8})(?![0-9a-f])|\b([0-9a-f]{16})\b|(?<=confirm => ')([0-9a-f]{8})(?=')/g

/** What differs from run to run and means nothing. */
const MASKS: readonly (readonly [RegExp, string])[] = [
    [/snapshots \d+/g, '<export>'],
    [/\b[0-9A-F]{8}-[0-9A-F]{8}-\d+\b/g, '<snapshot>'],
    [/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d)?/g, '<time>'],
    [/\d{4}-\d\d-\d\d \d\d:\d\d UTC/g, '<time>'],
    [/(?:\d+ days? )?\d\d:\d\d:\d\d(?:\.\d+)?/g, '<interval>'],
    [/\b[0-9a-f]{8}\b|(?<=\bpgx_)[0-9a-f]{8}(?=_)/g, '<hex>'],
    [/\bpid \d+/gi, '<pid>'],
    [/\bxid=\d+/g, '<xid>'],
    [/\bPostgreSQL \d\d\b/g, '<version>'],
    [/\bnone: <version> decodes all tables/g, 'pglobalxact'], // where there are no publications to go by
    [/(?<![\d.])\d+\.\d+(?![\d.])/g, '<number>'],
    [/in column "\w+" \(position (\d+)\)/g, 'in column $1'] // PostgreSQL 18's words
]

/** Columns of no interest to a comparison, wherever they appear. */
const VOLATILE =
    /^(xid|attempts|next_retry|age|since|prepared_for|holds_back|latency_ms|pid|id|took|export|state_bytes|state_directory|running_for|last_seen|last_look|host|lsn|lag|wal_kept)$/

export interface Skeleton {
    readonly shape: string
    readonly names: readonly string[]
}

/** An answer without what varies, and the names in it in their order. */
export function skeleton(lines: readonly string[]): Skeleton {
    const names: string[] = []
    const text = maskColumns(lines)
        .join('\n')
        .replace(NAME, (whole, ...parts: (string | undefined)[]) => {
            const found = parts.slice(0, 5).filter((part) => part !== undefined)
            names.push(...found)
            return found.reduce((all, part) => all.replace(part, '<name>'), whole)
        })
    const masked = MASKS.reduce((all, [pattern, word]) => all.replace(pattern, word), text)
    const shape = masked
        .replace(/-{2,}/g, '--')
        .replace(/[ \t]+/g, ' ')
        .replace(/ ?\n ?/g, '\n')
        .replace(/\n{2,}/g, '\n')
        .trim()
    return { shape, names }
}

function maskColumns(lines: readonly string[]): string[] {
    let columns: readonly number[] = []
    return lines.map((line, i) => {
        const cells = line.split('|')
        if (/^-+(\+-+)*$/.test(lines[i + 1] ?? '')) {
            columns = cells.flatMap((cell, at) => (VOLATILE.test(cell.trim()) ? [at] : []))
        } else if (/^\(\d+ rows?\)$/.test(line)) {
            columns = []
        } else if (cells.length === 2 && VOLATILE.test(cells[0]!.trim())) {
            return `${cells[0]}| <volatile>` // expanded display
        }
        const isRow = cells.length > 1 && !/^-+\[|^-+\+/.test(line) && !/^-+(\+-+)*$/.test(lines[i + 1] ?? '')
        return isRow ? cells.map((cell, at) => (columns.includes(at) ? ' <volatile> ' : cell)).join('|') : line
    })
}

/** Replaces the document's names in what is to be typed. */
export const rename = (text: string, names: ReadonlyMap<string, string>): string =>
    text.replace(NAME, (whole, ...parts: (string | undefined)[]) =>
        parts
            .slice(0, 5)
            .filter((part) => part !== undefined)
            .reduce((all, part) => all.replace(part, names.get(part) ?? part), whole)
    )
