import { Reader } from './reader'

/** A column as the stream describes it; `key`: part of the replica identity. */
export interface Column {
    readonly name: string
    readonly key: boolean
    /** The oid of its type. */
    readonly type: number
}

export interface Relation {
    readonly id: number
    readonly schema: string
    readonly name: string
    /** relreplident: d default, n nothing, f full, i index. */
    readonly identity: string
    readonly columns: readonly Column[]
}

/** undefined: a large value that was not changed, and is not sent. */
export type Value = string | null | undefined

/** `old`: the whole row (O), or the columns of the replica identity alone (K). */
export interface RowChange {
    readonly kind: 'insert' | 'update' | 'delete'
    /** In a transaction that is streamed before it ends: of the subtransaction that made it. */
    readonly xid: number | undefined
    readonly relation: number
    readonly oldKind: 'K' | 'O' | undefined
    readonly old: readonly Value[] | undefined
    readonly new: readonly Value[] | undefined
}

export interface Ending {
    readonly kind: 'begin prepare' | 'prepare' | 'stream prepare' | 'commit prepared' | 'rollback prepared'
    readonly gid: string
    readonly xid: number
    /** Where the record begins: of a rollback, of the PREPARE's end. */
    readonly lsn: bigint
    readonly end: bigint
    readonly at: string
}

export type Message =
    | { readonly kind: 'begin'; readonly xid: number }
    | { readonly kind: 'commit'; readonly end: bigint }
    | Ending
    | { readonly kind: 'relation'; readonly relation: Relation }
    | RowChange
    | { readonly kind: 'truncate'; readonly xid: number | undefined; readonly relations: readonly number[] }
    | { readonly kind: 'stream start'; readonly xid: number }
    | { readonly kind: 'stream stop' }
    | { readonly kind: 'stream commit'; readonly xid: number; readonly end: bigint }
    | { readonly kind: 'stream abort'; readonly xid: number; readonly subxid: number }
    | { readonly kind: 'other' }

/**
 * One message of the output plugin pgoutput, protocol 3 or 4 (PostgreSQL documentation, "Logical Replication Message Formats").
 * `streaming`: between Stream Start and Stream Stop, where changes name their transaction.
 */
export function decode(bytes: Buffer, streaming: boolean): Message {
    const from = new Reader(bytes)
    const kind = from.char()
    const xid = (): number | undefined => (streaming ? from.uint32() : undefined)
    switch (kind) {
        case 'B':
            from.uint64()
            from.time()
            return { kind: 'begin', xid: from.uint32() }
        case 'C':
            from.byte()
            from.uint64()
            return { kind: 'commit', end: from.uint64() }
        case 'b':
            return ending('begin prepare', from)
        case 'P':
        case 'K':
        case 'p':
            from.byte()
            return ending(ENDINGS[kind], from)
        case 'r':
            return rollback(from)
        case 'R':
            xid()
            return { kind: 'relation', relation: relation(from) }
        case 'I':
        case 'U':
        case 'D':
            return rowChange(CHANGES[kind], xid(), from)
        case 'T': {
            const transaction = xid()
            const count = from.int32()
            from.byte()
            return { kind: 'truncate', xid: transaction, relations: Array.from({ length: count }, () => from.uint32()) }
        }
        case 'S':
            return { kind: 'stream start', xid: from.uint32() }
        case 'E':
            return { kind: 'stream stop' }
        case 'c': {
            const transaction = from.uint32()
            from.byte()
            from.uint64()
            return { kind: 'stream commit', xid: transaction, end: from.uint64() }
        }
        case 'A':
            return { kind: 'stream abort', xid: from.uint32(), subxid: from.uint32() }
        default: // Type, Origin, Message: nothing here needs them
            return { kind: 'other' }
    }
}

const ENDINGS = { P: 'prepare', K: 'commit prepared', p: 'stream prepare' } as const
const CHANGES = { I: 'insert', U: 'update', D: 'delete' } as const

function ending(kind: Ending['kind'], from: Reader): Ending {
    const [lsn, end, at] = [from.uint64(), from.uint64(), from.time()]
    return { kind, lsn, end, at, xid: from.uint32(), gid: from.word() }
}

function rollback(from: Reader): Ending {
    from.byte()
    const [lsn, end] = [from.uint64(), from.uint64()]
    from.time()
    const at = from.time()
    return { kind: 'rollback prepared', lsn, end, at, xid: from.uint32(), gid: from.word() }
}

function relation(from: Reader): Relation {
    const [id, schema, name, identity] = [from.uint32(), from.word(), from.word(), from.char()]
    const columns = Array.from({ length: from.int16() }, () => {
        const key = (from.byte() & 1) === 1
        const column = from.word()
        const type = from.uint32()
        from.int32()
        return { name: column, key, type }
    })
    // An empty name stands for pg_catalog.
    return { id, schema: schema === '' ? 'pg_catalog' : schema, name, identity, columns }
}

function rowChange(kind: RowChange['kind'], xid: number | undefined, from: Reader): RowChange {
    const id = from.uint32()
    let mark = from.char()
    let oldKind: 'K' | 'O' | undefined
    let old: readonly Value[] | undefined
    if (mark === 'K' || mark === 'O') {
        oldKind = mark
        old = tuple(from)
        mark = kind === 'update' ? from.char() : ''
    }
    return { kind, xid, relation: id, oldKind, old, new: mark === 'N' ? tuple(from) : undefined }
}

function tuple(from: Reader): readonly Value[] {
    return Array.from({ length: from.int16() }, (): Value => {
        const kind = from.char()
        if (kind === 'n') return null
        if (kind === 'u') return undefined
        return from.text(from.int32())
    })
}
