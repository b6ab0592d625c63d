/** The half-committed window, from the servers' own records of their commits: they run on one machine, so by one clock. */
import type { World } from '../support/world'

/** Both ends need it. */
export const KEEPS_COMMIT_TIMES = { track_commit_timestamp: true } as const

interface Decided {
    readonly set: string
    readonly node: string
    readonly branch: string
    /** Milliseconds. */
    readonly at: number
}

/**
 * Milliseconds from the local commit, which is the decision, until the last branch was committed: of each committed set that
 * became complete within the last `seconds`.
 */
export async function halfCommitted(world: World, seconds: number): Promise<readonly number[]> {
    const decided = await world.sql<Decided & Record<string, unknown>>(
        `select r.xid || '_' || r.nonce as set, n.name as node, b.branch_xid::text as branch,
                (extract(epoch from pg_xact_commit_timestamp(r.xid::xid)) * 1000)::float8 as at
         from pglobalxact.commit_record r join pglobalxact.branch_record b using (xid, nonce) join pglobalxact.node n on n.number = b.node
         where r.complete_at > clock_timestamp() - make_interval(secs => $1) and r.outcome = 'committed' and b.branch_xid is not null and not b.plain`,
        [seconds]
    )
    const ends = new Map<string, number>()
    for (const node of world.nodes.keys()) {
        const here = decided.filter((one) => one.node === node)
        const rows = await world.node<{ at: number | null }>(
            node,
            `select (extract(epoch from pg_xact_commit_timestamp(x::xid)) * 1000)::float8 as at from unnest($1::text[]) with ordinality as u (x, n) order by n`,
            [here.map((one) => one.branch)]
        )
        here.forEach(({ set }, index) => ends.set(set, Math.max(ends.get(set) ?? 0, rows[index]?.at ?? 0)))
    }
    const begins = new Map(decided.map(({ set, at }) => [set, at]))
    return [...begins].flatMap(([set, at]) => (ends.get(set) ? [ends.get(set)! - at] : []))
}
