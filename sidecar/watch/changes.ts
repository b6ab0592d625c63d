import type { Relation, RowChange, Value } from './pgoutput'

/** A row as people see it, and as sql/functions/changes.sql and repair_sql.sql read it. Values are in PostgreSQL's own text form. */
export interface Change {
    readonly step: number
    readonly schema: string
    readonly table: string
    readonly operation: 'insert' | 'update' | 'delete' | 'truncate'
    /** Columns whose values can be told apart by `=`: those of an index that is the replica identity, and those of the types below. */
    readonly equal: readonly string[]
    /** Whether `old` is the whole row. */
    readonly whole: boolean
    readonly old: Readonly<Record<string, string | null>> | null
    /** Without the large values that were not changed. */
    readonly new: Readonly<Record<string, string | null>> | null
    /** What the replica identity is, and so what `old` lacks, is not known: not yet, or not any more (shapes.ts). */
    readonly unknown?: true
}

/** As a relation's replica identity. */
export const UNKNOWN = '?'

/** What one prepared transaction did: the first rows of it, and the true total. */
export interface Changes {
    readonly total: number
    /** Rows by table and operation, of all, kept or not. */
    readonly tables: Readonly<Record<string, number>>
    readonly rows: readonly Change[]
}

export const MOST_ROWS = 1000 // kept of a branch
export const MOST_BYTES = 1_048_576 // of values kept of a branch

interface Part {
    readonly rows: Change[]
    readonly tables: Map<string, number>
    bytes: number
}

/**
 * The changes of one transaction while they come in. A transaction that is streamed before it ends may undo a part of itself: parts are
 * by subtransaction, and what was undone is neither kept nor counted.
 */
export class Collection {
    private readonly parts = new Map<number | undefined, Part>()
    private steps = 0
    private rows = 0
    bytes = 0

    row(change: RowChange, relation: Relation): void {
        const step = this.count(change.xid, `${change.kind} ${nameOf(relation)}`)
        const bytes = size(change.old) + size(change.new)
        if (this.rows >= MOST_ROWS || this.bytes + bytes > MOST_BYTES) return
        const unknown = relation.identity === UNKNOWN ? ({ unknown: true } as const) : {}
        const common = {
            step,
            schema: relation.schema,
            table: relation.name,
            operation: change.kind,
            equal: comparable(relation),
            ...unknown
        }
        const old = change.old ?? (change.kind === 'update' ? sameKey(relation, change.new) : undefined)
        this.keep(change.xid, bytes, {
            ...common,
            whole: change.oldKind === 'O',
            old: record(relation, old, change.oldKind === 'O'),
            new: record(relation, change.new, true)
        })
    }

    truncate(xid: number | undefined, relation: Relation): void {
        const step = this.count(xid, `truncate ${nameOf(relation)}`)
        if (this.rows >= MOST_ROWS) return
        const { schema, name: table } = relation
        this.keep(xid, 0, { step, schema, table, operation: 'truncate', equal: [], whole: false, old: null, new: null })
    }

    /** Rows that are beyond what is kept. */
    pass(kind: Change['operation'], relation: Relation, count: number): void {
        this.count(undefined, `${kind} ${nameOf(relation)}`, count)
    }

    undo(subxid: number): void {
        const part = this.parts.get(subxid)
        if (part === undefined) return
        this.rows -= part.rows.length
        this.bytes -= part.bytes
        this.parts.delete(subxid)
    }

    done(): Changes {
        const tables: Record<string, number> = {}
        for (const part of this.parts.values()) for (const [what, count] of part.tables) tables[what] = (tables[what] ?? 0) + count
        const rows = [...this.parts.values()].flatMap((part) => part.rows).sort((a, b) => a.step - b.step)
        return { total: Object.values(tables).reduce((sum, count) => sum + count, 0), tables, rows }
    }

    private count(xid: number | undefined, what: string, count = 1): number {
        const { tables } = this.part(xid)
        tables.set(what, (tables.get(what) ?? 0) + count)
        return (this.steps += count)
    }

    private keep(xid: number | undefined, bytes: number, change: Change): void {
        const part = this.part(xid)
        part.rows.push(change)
        part.bytes += bytes
        this.rows += 1
        this.bytes += bytes
    }

    private part(xid: number | undefined): Part {
        const known = this.parts.get(xid) ?? { rows: [], tables: new Map<string, number>(), bytes: 0 }
        this.parts.set(xid, known)
        return known
    }
}

/** bool, bytea, name, int8, int2, int4, text, oid, bpchar, varchar, date, time, timestamp, timestamptz, numeric, uuid: `=` is identity, or as good. */
const EQUAL = new Set([16, 17, 19, 20, 21, 23, 25, 26, 1042, 1043, 1082, 1083, 1114, 1184, 1700, 2950])

/** With FULL every column is of the identity, be there an `=` for it or not. */
const comparable = ({ columns, identity }: Relation): string[] =>
    columns.filter(({ key, type }) => EQUAL.has(type) || (key && identity !== 'f')).map(({ name }) => name)

const nameOf = ({ schema, name }: Relation): string => `${schema}.${name}`

const size = (values: readonly Value[] | undefined): number => (values ?? []).reduce((sum, value) => sum + (value?.length ?? 0), 0)

/** An update that does not change the replica identity sends no old row: its key is the new row's. */
const sameKey = (relation: Relation, values: readonly Value[] | undefined): readonly Value[] | undefined =>
    relation.columns.some(({ key }) => key) ? values : undefined

function record(relation: Relation, values: readonly Value[] | undefined, whole: boolean): Change['old'] {
    if (values === undefined) return null
    const pairs = relation.columns.flatMap(({ name, key }, index) => {
        const value = values[index]
        return value === undefined || !(whole || key) ? [] : [[name, value] as const]
    })
    return Object.fromEntries(pairs)
}
