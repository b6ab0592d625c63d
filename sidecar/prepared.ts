import type { Catalog } from './catalog'
import { describeFailure } from './node'
import { parseGid, setId } from './protocol'
import type { Keeper } from './recovery'
import type { Resolver } from './resolver'
import { nodeSql } from './sqlfiles'

interface Parts {
    readonly coordinator: string
    readonly catalog: Pick<Catalog, 'decide'>
    readonly resolver: Pick<Resolver, 'find'>
    readonly keepers: ReadonlyMap<number, Keeper>
}

/** One node's answer to sql/node/prepared.sql. */
interface Found {
    readonly server: string
    readonly database: string
    readonly totals: Readonly<Record<string, number>> | null
    readonly prepared: readonly { readonly gid: string; readonly xid: string; readonly database: string }[]
    readonly sidecars: readonly unknown[]
}

const PREPARED = nodeSql('prepared')

/** What is prepared on each node, whoever prepared it, and what will become of our own: for prepared(). No node waits for another. */
export function lookAtPrepared(parts: Parts, most: number): Promise<readonly object[]> {
    return Promise.all(
        [...parts.keepers.values()].map(async ({ node }) => {
            const { number, name } = node.address
            const found = await node.lookOnce<Found>(PREPARED, [most]).then(
                (rows) => rows[0]!,
                (error: unknown) => describeFailure(error).message
            )
            if (typeof found === 'string') return { number, node: name, error: found, prepared: [], totals: {}, sidecars: [] }
            return { number, node: name, ...found, totals: found.totals ?? {}, prepared: await judge(parts, number, found) }
        })
    )
}

/** P was read before, as the decision rule wants it (sql/sidecar/_decide.sql). */
async function judge(parts: Parts, node: number, found: Found): Promise<readonly object[]> {
    const own = found.prepared.filter(
        ({ gid, database }) => database === found.database && parseGid(gid)?.coordinator === parts.coordinator
    )
    if (own.length === 0) return found.prepared
    const verdicts = await parts.catalog.decide(
        node,
        own.map(({ gid }) => gid),
        own.map(({ xid }) => xid)
    )
    const known = new Map(verdicts.map((verdict) => [verdict.gid, verdict]))
    return found.prepared.map((one) => {
        const key = parseGid(one.gid)
        const branch = key === undefined ? undefined : parts.resolver.find(setId(key), node)
        return {
            ...one,
            verdict: known.get(one.gid)?.verdict,
            reason: known.get(one.gid)?.reason,
            attempts: branch?.attempts,
            problem: branch?.problem?.message
        }
    })
}
