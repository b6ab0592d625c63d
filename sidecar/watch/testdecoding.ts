import type { Ending } from './pgoutput'

/** A column of a row, as the text has it. undefined: a large value that was not changed, and is not sent. */
export interface TextColumn {
    readonly name: string
    readonly type: string
    readonly value: string | null | undefined
}

export interface TableName {
    readonly schema: string
    readonly table: string
}

export type TextChange =
    | { readonly kind: 'truncate'; readonly tables: readonly TableName[] }
    | {
          readonly kind: 'insert' | 'update' | 'delete'
          readonly table: TableName
          /** Columns of the replica identity, with FULL all of them; those that are null are left out. */
          readonly old: readonly TextColumn[] | undefined
          readonly new: readonly TextColumn[] | undefined
      }

/** How a message begins, which is all that is needed of most. */
export type Head =
    | { readonly kind: 'begin' }
    | { readonly kind: 'change' }
    | { readonly kind: 'commit' }
    | { readonly kind: 'ending'; readonly ending: Omit<Ending, 'lsn' | 'end'> }
    | { readonly kind: 'other' }

const ENDING = /^(PREPARE TRANSACTION|COMMIT PREPARED|ROLLBACK PREPARED) (E?)'((?:[^']|'')*)', txid (\d+) \(at ([^)]*)\)$/s
const ENDINGS: Readonly<Record<string, Ending['kind']>> = {
    'PREPARE TRANSACTION': 'prepare',
    'COMMIT PREPARED': 'commit prepared',
    'ROLLBACK PREPARED': 'rollback prepared'
}

/**
 * One message of the output plugin test_decoding, as PostgreSQL 14 writes it with include-xids and include-timestamp. A message is one
 * line of text, but for the line breaks that a gid or a value has.
 */
export function headOf(text: string): Head {
    if (text.startsWith('table ')) return { kind: 'change' }
    if (text.startsWith('BEGIN ')) return { kind: 'begin' }
    const [, tag, escaped, quoted, xid, at] = ENDING.exec(text) ?? []
    if (tag !== undefined) {
        const gid = quoted!.replaceAll("''", "'")
        return {
            kind: 'ending',
            ending: { kind: ENDINGS[tag]!, gid: escaped === 'E' ? gid.replaceAll('\\\\', '\\') : gid, xid: Number(xid), at: isoTime(at!) }
        }
    }
    if (/^COMMIT \d+ \(at /.test(text)) return { kind: 'commit' }
    // A message of pg_logical_emit_message begins with its own word. What is not known must not be passed over: it may be a decision.
    if (text.startsWith('message: ')) return { kind: 'other' }
    throw new Error(`test_decoding wrote what is not known here: ${text.slice(0, 20)}…`)
}

/** The operation, and the tables it is about, without the row. */
export function changeHead(text: string): { readonly kind: TextChange['kind']; readonly tables: readonly TableName[] } {
    const { kind, tables } = new Text(text).head()
    return { kind, tables }
}

export function parseChange(text: string): TextChange {
    const from = new Text(text)
    const { kind, tables } = from.head()
    if (kind === 'truncate') return { kind, tables }
    const table = tables[0]!
    if (from.skip(' (no-tuple-data)')) return { kind, table, old: undefined, new: undefined }
    if (kind === 'delete') return { kind, table, old: from.columns(), new: undefined }
    const old = from.skip(' old-key:') ? from.columns() : undefined
    if (old !== undefined) from.expect(' new-tuple:')
    return { kind, table, old, new: from.skip(' (no-tuple-data)') ? undefined : from.columns() }
}

const OPERATIONS = { ' INSERT:': 'insert', ' UPDATE:': 'update', ' DELETE:': 'delete', ' TRUNCATE:': 'truncate' } as const
const QUOTED = /"((?:[^"]|"")*)"/y
const PLAIN = /[^".:,[\]\s]+/y
const LITERAL = /'((?:[^']|'')*)'/y
const BITS = /B'([01]*)'/y
const BARE = /[^ ]+/y

class Text {
    private at = 0

    constructor(private readonly text: string) {}

    head(): { readonly kind: TextChange['kind']; readonly tables: readonly TableName[] } {
        this.expect('table ')
        const tables: TableName[] = []
        do {
            const schema = this.identifier()
            this.expect('.')
            tables.push({ schema, table: this.identifier() })
        } while (this.skip(', '))
        this.expect(':')
        for (const [word, kind] of Object.entries(OPERATIONS)) if (this.skip(word)) return { kind, tables }
        throw this.broken()
    }

    /** Until the text ends, or the new row begins: a column of that name would stand in quotes. */
    columns(): readonly TextColumn[] {
        const columns: TextColumn[] = []
        while (this.at < this.text.length && !this.text.startsWith(' new-tuple:', this.at)) {
            this.expect(' ')
            const name = this.identifier()
            this.expect('[')
            const type = this.type()
            this.expect(']:')
            columns.push({ name, type, value: this.value(type) })
        }
        return columns
    }

    skip(word: string): boolean {
        if (!this.text.startsWith(word, this.at)) return false
        this.at += word.length
        return true
    }

    expect(word: string): void {
        if (!this.skip(word)) throw this.broken()
    }

    private identifier(): string {
        return this.match(QUOTED)?.replaceAll('""', '"') ?? this.match(PLAIN) ?? this.fail()
    }

    /** Up to the bracket that closes it: an array's are in pairs, and any others in quotes. */
    private type(): string {
        const start = this.at
        for (let depth = 0; this.at < this.text.length; this.at++) {
            const char = this.text[this.at]
            if (char === '"' && this.match(QUOTED) !== undefined) this.at--
            else if (char === '[') depth++
            else if (char === ']' && depth-- === 0) return this.text.slice(start, this.at)
        }
        return this.fail()
    }

    private value(type: string): string | null | undefined {
        const literal = this.match(LITERAL)
        if (literal !== undefined) return literal.replaceAll("''", "'")
        const bits = this.match(BITS)
        if (bits !== undefined) return bits
        const bare = this.match(BARE) ?? this.fail()
        if (bare === 'null') return null
        if (bare === 'unchanged-toast-datum') return undefined
        // As the server itself writes it.
        return type === 'boolean' ? bare.slice(0, 1) : bare
    }

    private match(pattern: RegExp): string | undefined {
        pattern.lastIndex = this.at
        const found = pattern.exec(this.text)
        if (found === null) return undefined
        this.at = pattern.lastIndex
        return found[1] ?? found[0]
    }

    private fail(): never {
        throw this.broken()
    }

    /** Of a row there is nothing in it. */
    private broken(): Error {
        return new Error(`test_decoding wrote a change that is not understood, at character ${this.at}`)
    }
}

/** `2026-01-02 03:04:05.6789+00`, as the server writes it in UTC, to the form that the rest has. */
function isoTime(text: string): string {
    const [, day, time, fraction] = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(text) ?? []
    if (day === undefined) throw new Error(`test_decoding wrote a time that is not understood: ${text}`)
    return `${day}T${time}.${(fraction ?? '').padEnd(6, '0')}Z`
}
