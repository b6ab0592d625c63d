import type { Changes } from './changes'
import type { FeedLine, Held } from './ledger'

export interface WatchRow {
    readonly node: number
    readonly publication: string
    readonly all_gids: boolean
    readonly max_wal: string
}

export interface WatchState {
    readonly state: string
    readonly slot: string
    readonly lag: number | null
    readonly kept: number | null
    readonly held: number
    readonly message: string | null
}

type Ask = <T extends object>(sql: string, values: unknown[]) => Promise<readonly T[]>

/** What watching writes into the coordinator database and reads there: one-line calls of SQL functions. */
export class WatchBook {
    constructor(private readonly rows: Ask) {}

    list(): Promise<readonly WatchRow[]> {
        return this.rows<WatchRow>('select * from pglobalxact._watch_list()', [])
    }

    async enter(node: number, publication: string, allGids: boolean, maxWal: string, by: string): Promise<void> {
        await this.rows('select pglobalxact._watch($1, $2, $3, $4, $5)', [node, publication, allGids, maxWal, by])
    }

    async strike(node: number): Promise<void> {
        await this.rows('select pglobalxact._unwatch($1)', [node])
    }

    async observe(node: number, { state, slot, lag, kept, held, message }: WatchState): Promise<void> {
        await this.rows('select pglobalxact._observe_watch($1, $2, $3, $4, $5, $6, $7)', [node, state, slot, lag, kept, held, message])
    }

    async noteGap(node: number, lsn: string, why: string): Promise<void> {
        await this.rows('select pglobalxact._note_gap($1, $2, $3)', [node, lsn, why])
    }

    /** What is kept there of a branch, its rows left out. */
    async kept(gid: string): Promise<Omit<Changes, 'rows'> | undefined> {
        return (await this.rows<Omit<Changes, 'rows'>>('select total::float8, tables from pglobalxact._kept($1)', [gid]))[0]
    }

    /** Returns the finished branches that need not be known any more. */
    async keep(node: number, lines: readonly FeedLine[], branches: readonly Held[], finished: readonly Held[]): Promise<readonly string[]> {
        const kept = branches.map(({ gid, xid, lsn, at, decodedAt, changes, fate, fateAt }) => ({
            ...{ gid, xid, lsn, at, decoded_at: decodedAt },
            ...changes,
            ...{ fate: fate ?? null, fate_at: fateAt ?? null }
        }))
        const told = lines.map(({ kind, gid, lsn, at, rows }) => ({ kind, gid, lsn, at, rows }))
        const rows = await this.rows<{ gid: string }>('select * from pglobalxact._keep_decoded($1, $2, $3, $4, $5) as gid', [
            node,
            JSON.stringify(told),
            JSON.stringify(kept),
            finished.map(({ gid }) => gid),
            finished.map(({ fate }) => fate)
        ])
        return rows.map(({ gid }) => gid)
    }
}
