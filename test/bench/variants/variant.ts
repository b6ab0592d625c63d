/** What the ways of moving money have in common. Each is one file here, written as a good engineer would write it. */
import type { Session } from '../session'

/** Hand-rolled 2PC that waits for everything: what all others are compared with. */
export const FLOOR = 'hand-rolled'

export interface Transfer {
    /** Of the row that is changed on every node; no two sessions use the same. */
    readonly row: number
    /** Unique; written into the row, and names the transfer where a name is needed. */
    readonly tag: number
}

export interface Variant {
    readonly name: string
    /** In words, for the report. */
    readonly title: string
    /** Whether a crash at any moment leaves all servers agreeing. */
    readonly safe: boolean
    /** Where the session has connections of its own. */
    readonly connects: 'coordinator' | 'nodes' | 'both'
    /** A second connection per node, for what goes on behind the next transfer. */
    readonly finishers?: true
    /** Where it is written which local transaction decided which branches, for the half-committed window. */
    readonly decisions?: 'bench' | 'pglobalxact'
    /** The function that each transfer calls on the coordinator, once or more. */
    readonly entry?: string
    /** Changes a row on how many nodes? Default: on each branch's. */
    readonly rows?: (branches: number) => number
    /** Returns when the program may tell its user that it is done. Calls session.committing() when all work but the commit is done. */
    readonly transfer: (session: Session, transfer: Transfer) => Promise<void>
    /** Once per session, before the first transfer. */
    readonly open?: (session: Session) => Promise<void>
}

/** One row, a statement that the node knows already. */
export const UPDATE = { name: 'move', text: 'update account set balance = balance + 1, tag = $2 where id = $1' } as const

/** The same for whoever sends text to a node through SQL. */
export const updateText = ({ row, tag }: Transfer): string => `update account set balance = balance + 1, tag = ${tag} where id = ${row}`

/** A PREPARE in an aborted transaction answers ROLLBACK, and no error. */
export function mustHavePrepared(tags: readonly string[]): void {
    if (tags.some((tag) => tag !== 'PREPARE')) throw new Error(`PREPARE TRANSACTION was answered with ${tags.join(', ')}`)
}
