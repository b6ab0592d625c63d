/** Everything there is to be known at the end of a run, read once: the judgement itself asks nobody. */
import type { Statement } from './client'
import type { Ground } from './ground'
import { NODES, readBook, type Book } from './tables'

export interface BranchEvidence {
    readonly set: string
    readonly node: string
    readonly gid: string
    readonly plain: boolean
    /** Milliseconds: when the coordinator was told that the set is complete, and when the node committed the branch. */
    readonly completeAt: number | undefined
    readonly committedAt: number | undefined
}

export interface Evidence {
    readonly books: readonly Book[]
    readonly statements: readonly Statement[]
    /** outcome() of every set that a client knows by its id. */
    readonly outcomes: ReadonlyMap<string, string>
    /** commit_record.outcome of every set that has a record. */
    readonly records: ReadonlyMap<string, string | null>
    readonly branches: readonly BranchEvidence[]
    /** The last line of history() that tells of the set, for some of them. */
    readonly history: ReadonlyMap<string, string>
    readonly byHand: ReadonlySet<string>
    readonly forced: ReadonlySet<string>
}

const TOLD_BY_HISTORY = 100

export async function gather(ground: Ground, statements: readonly Statement[]): Promise<Evidence> {
    const { world } = ground
    const ids = statements.flatMap(({ setId }) => (setId === undefined ? [] : [setId]))
    const outcomes = await world.sql<{ id: string; outcome: string }>(
        'select id, pglobalxact.outcome(id) as outcome from unnest($1::text[]) as id',
        [ids]
    )
    const records = await world.sql<{ id: string; outcome: string | null }>(
        "select xid || '_' || nonce as id, outcome from pglobalxact.commit_record"
    )
    const books = [await readBook(world, 'a')]
    for (const name of NODES) books.push(await readBook(world, name))
    return {
        books,
        statements,
        outcomes: new Map(outcomes.map(({ id, outcome }) => [id, outcome])),
        records: new Map(records.map(({ id, outcome }) => [id, outcome])),
        branches: await branches(ground),
        history: await history(
            ground,
            records.map(({ id }) => id)
        ),
        byHand: ground.byHand,
        forced: ground.forced
    }
}

interface BranchRow extends Record<string, unknown> {
    readonly set: string
    readonly node: string
    readonly gid: string
    readonly plain: boolean
    readonly xid: string | null
    readonly complete: number | null
}

async function branches({ world }: Ground): Promise<readonly BranchEvidence[]> {
    const rows = await world.sql<BranchRow>(
        `select r.xid || '_' || r.nonce as set, n.name as node, 'pgx_' || c.id || '_' || r.xid || '_' || r.nonce || '_' || b.node as gid, b.plain,
                b.branch_xid::text as xid, (extract(epoch from r.complete_at) * 1000)::float8 as complete
         from pglobalxact.coordinator c cross join pglobalxact.commit_record r join pglobalxact.branch_record b using (xid, nonce)
         join pglobalxact.node n on n.number = b.node`
    )
    const all: BranchEvidence[] = []
    for (const name of NODES) {
        const here = rows.filter((row) => row.node === name)
        const times = await world.node<{ at: number | null }>(
            name,
            `select (extract(epoch from case when pg_xact_status(x::xid8) = 'committed' then pg_xact_commit_timestamp(x::xid) end) * 1000)::float8 as at
             from unnest($1::text[]) with ordinality as u (x, n) order by n`,
            [here.map((row) => row.xid)]
        )
        here.forEach(({ set, node, gid, plain, complete }, n) =>
            all.push({ set, node, gid, plain, completeAt: complete ?? undefined, committedAt: times[n]?.at ?? undefined })
        )
    }
    return all
}

async function history({ world }: Ground, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const every = Math.max(1, Math.floor(ids.length / TOLD_BY_HISTORY))
    const some = ids.filter((_, n) => n % every === 0)
    const rows = await world.admin<{ id: string; detail: string }>(
        `select id, (select h.detail from pglobalxact.history(id) h where h.what = 'complete') as detail from unnest($1::text[]) as id`,
        [some]
    )
    return new Map(rows.map(({ id, detail }) => [id, detail]))
}
