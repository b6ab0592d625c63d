import { parseGid } from './protocol'
import type { CommittedBranch } from './records'
import type { Keeper } from './recovery'
import type { Row, Site } from './pointsite'
import type { RequestParts } from './request'
import type { PointServer } from './pointwrite'
import type { Manifest } from './restorepoints'

/**
 * The node was restored to the point, the coordinator was not: sets that it committed later, with a branch on that node. The
 * restore point lies between two sets, so of those that came before it every branch is there. Of a later one a branch is there only
 * if it was prepared at the point; then it is prepared again, and committed by its commit record, or was so already. Whether it was is told by
 * its xid on the node:
 *
 *   below xid_before   handed out before the point, so never again after the recovery: what the node says of it is said of the branch
 *   xid_after or more  handed out after the point: it was not prepared then, and what the node says of it is said of another transaction
 *   in between         "aborted", "open" and "in progress" say that it is not there, as it is not prepared; "committed" proves nothing
 *
 * A node that has lost its branch makes the set mixed (_went_back). Sets on the node's present time line came after the recovery.
 */
export async function findGone(
    parts: RequestParts,
    manifest: Manifest,
    server: PointServer,
    keeper: Keeper,
    site: Site
): Promise<readonly Row[]> {
    const number = server.number!
    const all = await parts.catalog.committedAfter(manifest)
    const later = all.filter((one) => one.number === number && one.timeline !== site.timeline)
    const prepared = new Set(site.branches.map(({ gid }) => gid))
    const gidOf = ({ set_id }: CommittedBranch): string => `pgx_${parts.coordinator}_${set_id}_${number}`
    const asked = later.filter((one) => one.branch_xid !== null)
    const found = await keeper.node.stillCommitted(
        asked.map((one) => one.branch_xid!),
        asked.map(gidOf)
    )
    const status = new Map(found.map((one) => [one.gid, one.status]))
    const [gone, unproved]: [CommittedBranch[], CommittedBranch[]] = [[], []]
    for (const one of later) {
        if (prepared.has(gidOf(one))) continue
        const finding = judge(server, one.branch_xid, status.get(gidOf(one)) ?? null)
        if (finding === 'gone') gone.push(one)
        else if (finding === 'not proved') unproved.push(one)
    }
    await tell(parts, number, gone)
    const row =
        (state: string, result: string) =>
        (one: CommittedBranch): Row => ({ server: server.node, set_id: one.set_id, state, result })
    return [
        ...gone.map(row('mixed', 'committed after the restore point, and gone on this node')),
        ...unproved.map(row('not proved', 'committed at the restore point, just before or after it: look for its rows on this node'))
    ]
}

export type Finding = 'there' | 'gone' | 'not proved'

/** Of a branch that is not prepared. `status`: sql/node/still_committed.sql. */
export function judge(
    { xid_before, xid_after }: Pick<PointServer, 'xid_before' | 'xid_after'>,
    xid: string | null,
    status: string | null
): Finding {
    if (xid === null || xid_before === undefined || xid_after === undefined) return 'not proved'
    if (BigInt(xid) >= BigInt(xid_after)) return 'gone'
    if (status === 'aborted' || status === 'open' || status === 'in progress') return 'gone'
    return status === 'committed' && BigInt(xid) <= BigInt(xid_before) ? 'there' : 'not proved'
}

/** On the books again, each with its event; said once. Sets in hand are told by the resolver, as its word comes last. */
async function tell({ catalog, resolver, coordinator }: RequestParts, node: number, gone: readonly CommittedBranch[]): Promise<void> {
    if (gone.length === 0) return
    for (const { set_id } of gone) {
        const branch = resolver.find(set_id, node)
        if (branch !== undefined && branch.fate !== 'rolled back') resolver.reverse(branch)
    }
    await resolver.writeBack()
    const keys = gone.map(({ set_id, branch_xid }) => {
        const { xid, nonce } = parseGid(`pgx_${coordinator}_${set_id}_${node}`)!
        return { xid, nonce, branch_xid: branch_xid ?? '', complete_at: '' }
    })
    await catalog.wentBack(node, keys)
}
