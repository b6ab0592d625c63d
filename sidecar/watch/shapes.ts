import type { Node } from '../node'
import { widenXid } from '../protocol'
import { nodeSql } from '../sqlfiles'
import type { Change, Changes } from './changes'
import type { Held, Ledger } from './ledger'

/** What the text of test_decoding leaves out of a table. */
interface Shape {
    readonly schema: string
    readonly table: string
    /** relreplident: d default, n nothing, f full, i index. */
    readonly identity: string
    /** The newest transaction that wrote any of this. */
    readonly altered_by: number
    readonly columns: readonly { readonly name: string; readonly key: boolean; readonly generated: boolean }[]
}

interface Shapes {
    readonly next: number
    readonly shapes: readonly Shape[] | null
    /** The branches that are prepared, with the tables each of them may have altered. */
    readonly prepared: readonly { readonly gid: string; readonly altered: readonly Pick<Shape, 'schema' | 'table'>[] | null }[] | null
}

const SHAPES = nodeSql('shapes')
const nameOf = ({ schema, table }: Pick<Shape, 'schema' | 'table'>): string => JSON.stringify([schema, table])

const SETTLE_AFTER = 100 // ms: most branches are finished before
const MOST = 1000 // branches at once

/**
 * Completes rows of which something is unknown. As long as the node does not answer they stay so, and nothing of theirs is stored: what
 * is stored is not made better.
 */
export async function settle(ledger: Ledger, node: Node | undefined, wanted: (branch: Held) => boolean): Promise<void> {
    const old = Date.now() - SETTLE_AFTER
    const open: Held[] = []
    for (const branch of ledger.held.values()) {
        if (branch.settled || (branch.since > old && !wanted(branch))) continue
        open.push(branch)
    }
    if (open.length === 0 || node?.up !== true) return
    try {
        for (const [branch, changes] of await ask(node, open.slice(0, MOST)))
            if (ledger.held.get(branch.gid) === branch) ledger.settle(branch, changes)
    } catch {
        // It is asked again at the next turn.
    }
}

/**
 * Asks the node what the tables of these branches look like. What the catalogs say now was so for the branch, too, if nobody altered the
 * table in between, and that is proved by locks: the branch has one on each of its tables from its first change until it is finished,
 * and whoever alters a table has one that excludes all others until he has committed. So he was done before, or began after.
 *
 *   prepared    it is found prepared by the statement, whose snapshot was taken before: whoever wrote what that sees was done before.
 *               But itself it may have altered a table that it locks exclusively, which nobody else sees yet.
 *   finished    there is a snapshot, taken at a look, in which it was not finished. What was written by a transaction older than all that
 *               ran then was written before. (The oldest of them, as subtransactions are not in a snapshot.) Its own is never as old; and
 *               what it wrote itself and was undone with it can only be a branch that was rolled back, which is to be done again: a
 *               repeated change that names too much of its row finds none.
 *
 * Otherwise the catalogs may speak of another time: such rows stay `unknown`, and repair_sql refuses them.
 */
async function ask(node: Node, branches: readonly Held[]): Promise<ReadonlyMap<Held, Changes>> {
    const tables = new Map(branches.flatMap(({ changes }) => changes.rows.map((row) => [nameOf(row), row] as const)))
    const names = [...tables.values()]
    const [found] = await node.lookOnce<Shapes>(SHAPES, [
        branches.map(({ gid }) => gid),
        names.map(({ schema }) => schema),
        names.map(({ table }) => table)
    ])
    const shapes = new Map((found?.shapes ?? []).map((shape) => [nameOf(shape), shape]))
    const prepared = new Map((found?.prepared ?? []).map(({ gid, altered }) => [gid, new Set((altered ?? []).map(nameOf))]))
    return new Map(
        branches.map((branch) => {
            const altered = prepared.get(branch.gid)
            const before = altered === undefined ? allFinished(branch, found!.next) : Infinity
            const rows = branch.changes.rows.map((row) => {
                const shape = shapes.get(nameOf(row))
                return shape === undefined || altered?.has(nameOf(row)) || shape.altered_by >= before ? row : completed(row, shape)
            })
            return [branch, { ...branch.changes, rows }] as const
        })
    )
}

/** Transactions before this one were finished at a time when the branch was not. */
function allFinished({ snapshots, xid }: Held, next: number): number {
    const branch = widenXid(xid, BigInt(next))
    const before = snapshots.map((snapshot) => {
        const [oldest, end, running] = snapshot.split(':')
        return BigInt(branch) >= BigInt(end!) || running?.split(',').includes(branch) ? Number(oldest) : 0
    })
    return Math.max(0, ...before)
}

/** As pgoutput would have it; the row as it was, where the table cannot have looked so. */
function completed(row: Change, { identity, columns }: Shape): Change {
    const { unknown: _, ...known } = row
    const own = columns.filter(({ generated }) => !generated).map(({ name }) => name)
    const keys = columns.filter(({ key }) => key).map(({ name }) => name)
    const fresh = row.new && pick(row.new, own)
    if (row.operation === 'insert' || row.operation === 'truncate') return { ...known, whole: false, new: fresh }
    const whole = identity === 'f'
    const equal = whole ? row.equal : [...new Set([...row.equal, ...keys])]
    if (!whole && keys.length === 0) return row.old === null ? { ...known, equal, whole, new: fresh } : row
    // An update that does not change the replica identity has no old row: its key is the new row's.
    const old = row.old ?? (whole ? null : row.new)
    if (old === null) return row
    if (!whole && (keys.some((key) => old[key] == null) || (row.old !== null && Object.keys(row.old).length !== keys.length))) return row
    return {
        ...known,
        equal,
        whole,
        old: whole ? Object.fromEntries(own.map((name) => [name, old[name] ?? null])) : pick(old, keys),
        new: fresh
    }
}

const pick = (row: NonNullable<Change['old']>, names: readonly string[]): NonNullable<Change['old']> =>
    Object.fromEntries(names.flatMap((name) => (row[name] === undefined ? [] : [[name, row[name]]])))
