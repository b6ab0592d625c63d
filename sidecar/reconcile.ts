import { lookAt, type Row, type Site } from './pointsite'
import { parseGid, setId } from './protocol'
import type { CommittedBranch, PointStanding, Verdict } from './records'
import type { Keeper } from './recovery'
import { RequestError, WRONG_STATE, type RequestParts } from './request'
import { findGone } from './pointgone'
import type { Manifest, PointServer } from './restorepoints'
import { COORDINATOR } from './snapshots'
import { describeProblem } from './sqlstate'

export interface Order {
    readonly manifest: Manifest
    /** What a copy of the coordinator's last state says it committed after the restore point. */
    readonly committed: readonly CommittedBranch[] | undefined
    readonly by: string
}

const LOST = /^(lost|stranger|purged)$/

/**
 * After a recovery to a restore point. How each server stands to it is told by what it holds (restorepoints.ts has the argument),
 * and that says what is to be done:
 *
 *   coordinator   node           a branch that is prepared there                      a set that was committed after the point
 *   restored      restored       was undecided then, and nobody decides it any        is nowhere; nobody asks for it
 *                                more: rolled back, also where its xid proves nothing
 *   restored      not restored   the old coordinator may have committed it: where     is committed there and missing here: only the old
 *                                the decision rule says nothing, it is left alone     coordinator knows its name (`committed`)
 *   not restored  restored       is decided by the commit records, as ever            is gone there unless it was prepared then: mixed
 *   not restored  not restored   nothing has happened                                 nothing has happened
 *
 * The decision rule has been at work before this is called, as ever: what it rolls back has no commit record here and is over here, and
 * what it commits has one. It only leaves open what this settles. A branch that was prepared after the point, by the node's own clock,
 * was not made by anyone who is still asked: it is named, and left alone.
 */
export async function reconcile(parts: RequestParts, order: Order): Promise<readonly Row[]> {
    const { manifest } = order
    const point = await standing(parts, manifest)
    await parts.refreshNodes()
    const there = manifest.servers.filter(({ number }) => number !== null)
    const rows = await Promise.all(there.map((server) => settle(parts, order, point, server)))
    const elsewhere = order.committed === undefined || point.standing !== 'restored' ? [] : await missing(parts, manifest, order.committed)
    const result = [
        { server: COORDINATOR, set_id: null, state: WORD[point.standing], result: '' },
        ...rows.flat(),
        ...outside(parts, manifest),
        ...elsewhere
    ]
    const found = result.filter(({ set_id }) => set_id !== null).length
    const states = result.filter(({ set_id }) => set_id === null).map(({ server, state }) => `${server} ${state}`)
    await parts.catalog.noteEvent(
        'reconciled',
        undefined,
        undefined,
        `restore point "${manifest.name}": ${states.join(', ')}; ${found} sets named`
    )
    return result
}

const WORD = { restored: 'restored', 'went on': 'not restored', failed: 'failed' } as const

async function standing({ catalog }: RequestParts, { id, name }: Manifest): Promise<PointStanding> {
    const point = await catalog.point(id)
    if (point !== undefined && point.standing !== 'failed') return point
    throw new RequestError(
        WRONG_STATE,
        point === undefined
            ? `this database was never at restore point "${name}"`
            : `restore point "${name}" was not completed, so there is no manifest of it`,
        point === undefined
            ? 'It was restored to before it, or is another one. See: select * from pglobalxact.restore_points();'
            : 'See: select * from pglobalxact.restore_points();'
    )
}

async function settle(parts: RequestParts, order: Order, point: PointStanding, server: PointServer): Promise<readonly Row[]> {
    const row = (state: string, result: string): Row => ({ server: server.node, set_id: null, state, result })
    const keeper = parts.keepers.get(server.number!)
    if (keeper === undefined) return [row('away', 'no node any more')]
    // By the decision rule, as at every look. Twice: a branch of a complete set is finished only when it is seen again.
    for (const _ of [1, 2]) {
        const { result } = await keeper.look(true)
        if (result !== 'ok') return [row('away', result)]
    }
    const site = await lookAt(parts, order.manifest, server, keeper, point)
    const { state } = site
    if (state === 'another server')
        return [row(state, 'not the server of the manifest, nor restored from a base backup of it: nothing is known of it')]
    if (state === 'elsewhere')
        return [row(state, 'on another time line, but not at this restore point: nothing is proved'), ...left(server, site.branches, '')]
    if (state === 'not restored')
        return point.standing === 'restored'
            ? [
                  row(
                      state,
                      'may have sets that were committed after the point and are missing on the coordinator; its last state would tell (committed_after)'
                  ),
                  ...left(server, site.branches, '; the coordinator may have committed it after the restore point')
              ]
            : [row(state, '')]
    const rows =
        point.standing === 'restored'
            ? await rollBack(parts, order, server, keeper, site)
            : await findGone(parts, order.manifest, server, keeper, site)
    await site.settled()
    const [named, kept] = [
        rows.filter(({ set_id }) => set_id !== null).length,
        rows.filter(({ state: one }) => one === 'left alone').length
    ]
    return [row(state, `${named} sets named${kept > 0 ? `, ${kept} of them left alone` : ''}`), ...rows]
}

/** Coordinator and node are both at the point: what nobody can decide was decided by nobody. */
async function rollBack(
    parts: RequestParts,
    { manifest, by }: Order,
    server: PointServer,
    keeper: Keeper,
    site: Site
): Promise<readonly Row[]> {
    const open = site.branches.filter(({ verdict }) => verdict === 'lost')
    const mine = open.filter(({ prepared_at }) => Date.parse(prepared_at) <= Date.parse(server.at))
    const gids = mine.map(({ gid }) => gid)
    if (gids.length > 0) {
        await parts.catalog.recordForced(gids, 'rollback', by, `undecided at restore point "${manifest.name}"`, false)
        await keeper.look(true)
    }
    const still = new Set((await site.look()).map(({ gid }) => gid))
    const done = mine.map(({ gid }): Row => {
        const problem = still.has(gid) ? keeper.problemOf(gid) : undefined
        const result = !still.has(gid)
            ? 'undecided at the restore point'
            : `undecided at the restore point, tried again${problem === undefined ? '' : `: ${describeProblem(problem)}`}`
        return { server: server.node, set_id: setOf(gid), state: still.has(gid) ? 'to be rolled back' : 'rolled back', result }
    })
    const late = open
        .filter((one) => !mine.includes(one))
        .map((one) => ({ ...one, reason: 'prepared there after the restore point, by another coordinator or its last state' }))
    return [...done, ...left(server, [...late, ...site.branches.filter(({ verdict }) => verdict !== 'lost')], '')]
}

const setOf = (gid: string): string => {
    const part = parseGid(gid)
    return part === undefined ? gid : setId(part)
}

const left = (server: PointServer, branches: readonly Verdict[], more: string): readonly Row[] =>
    branches
        .filter(({ verdict }) => LOST.test(verdict))
        .map(({ gid, reason }) => ({ server: server.node, set_id: setOf(gid), state: 'left alone', result: reason + more }))

/** Nodes of which the manifest says nothing. */
function outside({ keepers }: RequestParts, { servers }: Manifest): readonly Row[] {
    const known = new Set(servers.map(({ number }) => number))
    return [...keepers.values()]
        .map(({ node }) => node.address)
        .filter(({ number, active }) => active && !known.has(number))
        .map(({ name }) => ({ server: name, set_id: null, state: 'left out', result: 'not part of this restore point' }))
}

/** Sets that the old coordinator committed after the point, and this one has not: where they are committed all the same. */
async function missing(parts: RequestParts, { servers }: Manifest, committed: readonly CommittedBranch[]): Promise<readonly Row[]> {
    const rows: Row[] = []
    for (const { number, node: name } of servers) {
        const keeper = number === null ? undefined : parts.keepers.get(number)
        const mine = committed.filter((one) => one.number === number && one.branch_xid !== null)
        if (keeper === undefined || mine.length === 0) continue
        const row = (set_id: string, state: string, result: string): Row => ({ server: name, set_id, state, result })
        const scan = await keeper.node.scan().catch(() => undefined)
        const sure = mine.filter(({ timeline }) => timeline === scan?.timeline)
        const found = await keeper.node
            .stillCommitted(
                sure.map((one) => one.branch_xid!),
                sure.map((one) => one.set_id)
            )
            .catch(() => [])
        const there = new Set(found.filter(({ status }) => status === 'committed').map(({ gid }) => gid))
        for (const { set_id } of mine) {
            if (there.has(set_id))
                rows.push(row(set_id, 'mixed', 'committed there after the restore point, and missing on the coordinator'))
            else if (!sure.some((one) => one.set_id === set_id))
                rows.push(row(set_id, 'gone', 'committed after the restore point, on a time line that the node has left'))
            else rows.push(row(set_id, 'not proved', 'committed after the restore point; nothing is known of it there'))
        }
    }
    for (const set of new Set(rows.filter(({ state }) => state === 'mixed').map(({ set_id }) => set_id!)))
        await parts.catalog.noteEvent(
            'contradiction',
            set,
            undefined,
            'committed on nodes after the restore point to which the coordinator was restored, and missing on it'
        )
    return rows
}
