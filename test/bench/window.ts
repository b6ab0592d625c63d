/** The half-committed window of a cell: by the servers' own commit times, which are one machine's and so one clock's. */
import type { Ground } from './ground'
import { variantNamed } from './variants'

const SAMPLE = 500 // transfers of a cell, the last ones

/** One branch: its local transaction's commit time in milliseconds, and how to find the branch's own. */
interface Decided {
    readonly transfer: string
    readonly node: number
    /** Transaction id there, or the tag that it wrote. */
    readonly branch: string
    readonly at: number
}

const TIME = (xid: string): string => `(extract(epoch from pg_xact_commit_timestamp(${xid})) * 1000)::float8`

const QUERIES = {
    bench: {
        decided: `select d.tag::text as transfer, n as node, d.tag::text as branch, ${TIME('d.xmin')} as at
            from (select xmin, tag, nodes from decision order by tag desc limit ${SAMPLE}) d, unnest(d.nodes) n where $1::bigint < d.tag`,
        // A row that a later transfer changed again is not the branch's any more, and drops out.
        ended: `select tag::text as branch, ${TIME('xmin')} as at from account where tag = any ($1::bigint[])`
    },
    pglobalxact: {
        decided: `select r.xid::text as transfer, substr(n.name, 2)::int as node, b.branch_xid::text as branch, ${TIME('r.xid::xid')} as at
            from (select * from pglobalxact.commit_record where $1::bigint > 0 order by xid desc limit ${SAMPLE}) r
            join pglobalxact.branch_record b using (xid, nonce) join pglobalxact.node n on n.number = b.node where b.branch_xid is not null`,
        ended: `select x as branch, ${TIME('x::xid')} as at from unnest($1::text[]) x`
    }
} as const

/** Milliseconds from the local commit to the last branch's, per transfer; none for variants without a decision. */
export async function windows(ground: Ground, variant: string, firstTag: number): Promise<readonly number[]> {
    const { decisions } = variantNamed(variant)
    if (!decisions) return []
    const { rows } = await ground.control.query<Decided>(QUERIES[decisions].decided, [firstTag])
    const widest = new Map<string, number>()
    const incomplete = new Set<string>()
    for (const number of new Set(rows.map(({ node }) => node))) {
        const here = rows.filter(({ node }) => node === number)
        const { control } = ground.nodes[number - 1]!
        const ended = await control.query<{ branch: string; at: number }>(QUERIES[decisions].ended, [here.map(({ branch }) => branch)])
        const times = new Map(ended.rows.map(({ branch, at }) => [branch, at]))
        for (const { transfer, branch, at } of here) {
            const end = times.get(branch)
            if (end === undefined || end === null) incomplete.add(transfer)
            else widest.set(transfer, Math.max(widest.get(transfer) ?? 0, end - at))
        }
    }
    return [...widest].filter(([transfer]) => !incomplete.has(transfer)).map(([, width]) => width)
}
