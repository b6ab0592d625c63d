import { lookAt, type Row, type Site } from './pointsite'
import { parseGid, setId } from './protocol'
import type { CommittedBranch, PointStanding, Verdict } from './records'
import type { Keeper } from './recovery'
import { RequestError, WRONG_STATE, type RequestParts } from './request'
import { findGone } from './pointgone'
import type { PointServer } from './pointwrite'
import type { Manifest } from './restorepoints'
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
    const settled: Settled[] = []
    const rows = await Promise.all(there.map((server) => settle(parts, order, point, server, settled)))
    settled.sort((one, other) => there.indexOf(one.server) - there.indexOf(other.server))
    const elsewhere = order.committed === undefined || point.standing !== 'restored' ? [] : await missing(parts, settled, order.committed)
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

/** A node that could be asked. */
interface Settled {
    readonly server: PointServer
    readonly keeper: Keeper
    readonly site: Site
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

async function settle(
    parts: RequestParts,
    order: Order,
    { standing: here, reconciled }: PointStanding,
    server: PointServer,
    settled: Settled[]
): Promise<readonly Row[]> {
    const row = (state: string, result: string): Row => ({ server: server.node, set_id: null, state, result })
    const keeper = parts.keepers.get(server.number!)
    if (keeper === undefined) return [row('away', 'no node any more')]
    // By the decision rule, as at every look. Twice: a branch of a complete set is finished only when it is seen again.
    for (const _ of [1, 2]) {
        const { result } = await keeper.look(true)
        if (result !== 'ok') return [row('away', result)]
    }
    const site = await lookAt(parts, order.manifest, server, keeper, reconciled)
    settled.push({ server, keeper, site })
    if (site.state !== 'restored') {
        const more =
            site.state === 'not restored' && here === 'restored' ? '; the coordinator may have committed it after the restore point' : ''
        const ahead = site.state === 'not restored' && here === 'restored' ? MAY_BE_AHEAD : ''
        return [row(site.state, NOT_THERE[site.state] || ahead), ...left(server, site.branches, more)]
    }
    const rows =
        here === 'restored'
            ? await rollBack(parts, order, server, keeper, site)
            : await findGone(parts, order.manifest, server, keeper, site)
    await site.settled()
    return [
        row(site.state, rows.length === 0 ? 'nothing is left open' : `${rows.length} ${rows.length === 1 ? 'set' : 'sets'} named`),
        ...rows
    ]
}

const MAY_BE_AHEAD =
    'may have sets that were committed after the point and are missing on the coordinator: committed_after() of its last state names them'
const NOT_THERE = {
    'not restored': '',
    elsewhere: 'on another time line, and not known to have been at this point: nothing is proved',
    'another server': 'not the server of the manifest, nor made from its base backup: nothing is proved'
} as const

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
    const outcomeOf = (gid: string): Row => {
        const row = { server: server.node, set_id: setOf(gid) }
        if (!still.has(gid)) return { ...row, state: 'rolled back', result: UNDECIDED }
        const problem = keeper.problemOf(gid)
        return {
            ...row,
            state: 'to be rolled back',
            result: `${UNDECIDED}; ${problem === undefined ? 'tried again' : describeProblem(problem)}`
        }
    }
    const done = mine.map(({ gid }) => outcomeOf(gid))
    const late = open
        .filter((one) => !mine.includes(one))
        .map((one) => ({ ...one, reason: 'prepared there after the restore point, by another coordinator or its last state' }))
    // By the decision rule, and the node would not.
    const refused = site.branches.filter(({ gid, verdict }) => verdict === 'rollback' && still.has(gid)).map(({ gid }) => outcomeOf(gid))
    return [...done, ...refused, ...left(server, [...late, ...site.branches.filter(({ verdict }) => verdict !== 'lost')], '')]
}

const UNDECIDED = 'undecided at the restore point'

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

/**
 * Sets that the old coordinator committed after the point, and of which this one has no record: what is there of them. On a node that was
 * restored nothing is, as they were undecided at the point. On one that was not, its own word counts, if it is of the same time line.
 */
async function missing(parts: RequestParts, settled: readonly Settled[], committed: readonly CommittedBranch[]): Promise<readonly Row[]> {
    const unrecorded = await parts.catalog.unrecorded([...new Set(committed.map(({ set_id }) => set_id))])
    const told = new Map(unrecorded.map((one) => [one.set_id, one.told]))
    const rows = await Promise.all(
        settled.map(async ({ server, site, keeper }) => {
            const mine = committed.filter(({ number, set_id }) => number === server.number && told.has(set_id))
            const sure =
                site.state === 'not restored' ? mine.filter((one) => one.branch_xid !== null && one.timeline === site.timeline) : []
            const found = await keeper.node.stillCommitted(
                sure.map((one) => one.branch_xid!),
                sure.map((one) => one.set_id)
            )
            const status = new Map(found.map((one) => [one.gid, one.status]))
            return mine.map(({ set_id }): Row => {
                const what = WHAT[site.state === 'restored' ? 'aborted' : (status.get(set_id) ?? '')] ?? UNPROVED
                return { server: server.node, set_id, ...what }
            })
        })
    )
    const mixed = rows.flat().filter(({ set_id, state }) => state === 'mixed' && told.get(set_id!) === false)
    for (const set of new Set(mixed.map(({ set_id }) => set_id!))) await parts.catalog.noteEvent('contradiction', set, undefined, AHEAD)
    return rows.flat()
}

const AHEAD = 'committed on nodes after the restore point to which the coordinator was restored, and missing on it'
const UNPROVED = { state: 'not proved', result: 'committed after the restore point; nothing is proved of it here' }
const WHAT: Readonly<Record<string, { readonly state: string; readonly result: string }>> = {
    committed: { state: 'mixed', result: 'committed here after the restore point, and missing on the coordinator' },
    aborted: { state: 'gone', result: 'committed after the restore point, and not here' }
}
