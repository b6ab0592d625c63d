import type { Listener } from './assembler'
import { Collection, MOST_BYTES, MOST_ROWS, UNKNOWN } from './changes'
import type { Relation, Value } from './pgoutput'
import { changeHead, headOf, parseChange, type TableName, type TextChange, type TextColumn } from './testdecoding'

const MOST_TEXT = 4 * MOST_BYTES // of a transaction kept as text: names and types of columns stand in every row
const HEAD = 65_536 // bytes of a message beyond that: the names of its tables are in them
const TABLE = Buffer.from('table ')

/**
 * Makes transactions of test_decoding's text. That does not say how a transaction will end, nor is one streamed before: its rows come
 * when it is prepared or committed, without what savepoints undid. Until then they are kept as they came, within the bounds, so that the
 * plain transactions, which are the most, cost little.
 */
export class TextAssembler {
    private texts: Buffer[] = []
    private size = 0
    /** Beyond the bounds rows are counted, by operation and table. */
    private over = false
    private readonly rest = new Map<string, number>()

    constructor(private readonly listener: Listener) {}

    /** `sent`: when, by the node's clock; `position`: of what ends a transaction, the one behind it. */
    take(bytes: Buffer, sent: string, position: bigint): void {
        if (bytes.subarray(0, 6).equals(TABLE)) return this.keep(bytes)
        const head = headOf(bytes.toString('utf8'))
        switch (head.kind) {
            case 'begin':
                return this.forget()
            case 'commit':
                this.forget()
                return this.listener.passed(position)
            case 'ending': {
                const ending = { ...head.ending, lsn: position, end: position }
                if (ending.kind !== 'prepare') return this.listener.finished(ending)
                const changes = this.collect().done()
                this.forget()
                return this.listener.prepared({ ...ending, decodedAt: sent, changes })
            }
        }
    }

    private keep(bytes: Buffer): void {
        this.over ||= this.texts.length >= MOST_ROWS || this.size + bytes.length > MOST_TEXT
        if (this.over) {
            const { kind, tables } = changeHead(bytes.toString('utf8', 0, HEAD))
            for (const { schema, table } of tables) this.uncounted(kind, schema, table)
            return
        }
        this.size += bytes.length
        // A copy: the connection reads many messages into one buffer, which would stay for the sake of one.
        this.texts.push(Buffer.from(bytes))
    }

    private uncounted(kind: TextChange['kind'], schema: string, table: string): void {
        const what = JSON.stringify([kind, schema, table])
        this.rest.set(what, (this.rest.get(what) ?? 0) + 1)
    }

    private collect(): Collection {
        const collection = new Collection()
        for (const text of this.texts) {
            const change = parseChange(text.toString('utf8'))
            if (change.kind === 'truncate') for (const table of change.tables) collection.truncate(undefined, relationOf(table, []))
            else {
                const relation = relationOf(change.table, change.new ?? change.old ?? [])
                const { kind } = change
                const rows = { old: valuesOf(relation, change.old), new: valuesOf(relation, change.new) }
                // Of the old row all that came is kept, whatever that is.
                collection.row({ kind, xid: undefined, relation: 0, oldKind: rows.old && 'O', ...rows }, relation)
            }
        }
        for (const [what, count] of this.rest) {
            const [kind, schema, table] = JSON.parse(what) as [TextChange['kind'], string, string]
            collection.pass(kind, relationOf({ schema, table }, []), count)
        }
        return collection
    }

    private forget(): void {
        this.texts = []
        this.rest.clear()
        this.size = 0
        this.over = false
    }
}

/** format_type()'s words for the types that changes.ts knows an equality for. A type of somebody's own has its schema before its name. */
const TYPES: Readonly<Record<string, number>> = {
    ...{ boolean: 16, bytea: 17, name: 19, bigint: 20, smallint: 21, integer: 23, text: 25, oid: 26, character: 1042, bpchar: 1042 },
    ...{ 'character varying': 1043, date: 1082, 'time without time zone': 1083, 'timestamp without time zone': 1114 },
    ...{ 'timestamp with time zone': 1184, numeric: 1700, uuid: 2950 }
}

/** What its replica identity is, the text does not say (shapes.ts). */
const relationOf = ({ schema, table }: TableName, columns: readonly TextColumn[]): Relation => ({
    id: 0,
    schema,
    name: table,
    identity: UNKNOWN,
    columns: columns.map(({ name, type }) => ({ name, key: false, type: TYPES[type] ?? 0 }))
})

function valuesOf({ columns }: Relation, row: readonly TextColumn[] | undefined): readonly Value[] | undefined {
    if (row === undefined) return undefined
    const values = new Map(row.map(({ name, value }) => [name, value]))
    return columns.map(({ name }) => values.get(name))
}
