import { describe, type Branch } from './liveset'
import { answer, confirmed, fingerprint, preparedNow, stakesNow, type AnswerRow, type PlannedBranch } from './plan'
import { fateOf, type Action } from './protocol'
import type { KnownBranch } from './records'
import { RequestError, UNKNOWN_OBJECT, unknownSet, WRONG_STATE, type RequestParts } from './request'
import { property } from './sqlstate'

export interface Order {
    readonly action: Action
    readonly set: string
    readonly node: string | undefined
    readonly reason: string
    readonly by: string
    readonly acceptMixed: boolean
    /** 'yes', or the token of the plan; without it the plan is the answer. */
    readonly confirm: string | undefined
}

interface Plan {
    /** running, committed, rolled back, lost or stranger. */
    readonly standing: string
    readonly pid: number | null
    readonly branches: readonly PlannedBranch[]
    readonly token: string
}

const ORDERED = 'carried out if the node returns, not waited for'
const ENDING = 10_000 // ms for the session of a running set to be gone

/** force_commit and force_rollback: first the plan; then, if it still is the plan, the order is recorded and carried out. */
export async function force(parts: RequestParts, order: Order): Promise<readonly AnswerRow[]> {
    const plan = await makePlan(parts, order)
    const decision = demanded(plan.standing)
    if (order.confirm === undefined) return plan.branches.map((branch) => answer(branch, branch.step, plan.token))
    confirmed(order.confirm, plan.token)
    const branches = plan.standing === 'running' ? await endRunning(parts, order) : plan.branches
    await record(parts, order, branches)
    const results = await Promise.all(branches.map(async (branch) => answer(branch, await forceBranch(parts, order, branch), '')))
    parts.resolver.tellProgress()
    await parts.resolver.writeBack()
    if (results.length > 0) return results.sort((a, b) => a.node.localeCompare(b.node))
    const result = 'the session of its local transaction was ended; nothing was prepared yet'
    return [{ set_id: order.set, node: '(all)', now: '', decision, at_stake: '', result, confirm: '' }]
}

async function makePlan(parts: RequestParts, order: Order): Promise<Plan> {
    const first = await parts.catalog.standing(order.set)
    const present = await preparedNow(parts, order.set)
    const standing = first?.standing ?? undefined
    const pid = first?.pid ?? null
    if (standing === 'running') {
        if (present.size === 0 && pid === null) throw unknownSet(order.set)
        if (order.action === 'commit') throw stillRunning(order.set)
    } else checkAgainstDecision(order, standing)
    const known = await parts.catalog.knownBranches(order.set)
    const unfinished = standing === 'committed' ? await unfinishedBranches(parts, order.set) : []
    const branches = await gather(parts, order, { standing, pid, present, known, unfinished })
    if (branches.length === 0 && standing !== 'running') throw nothingToForce(order.set, standing)
    const chosen = branches.filter((branch) => order.node === undefined || branch.node === order.node)
    if (chosen.length === 0 && branches.length > 0) throw noSuchBranch(order)
    const token = fingerprint([order.action, order.set, order.node ?? null, order.acceptMixed, standing ?? null, pid], chosen)
    return { standing: standing ?? 'unknown', pid, branches: chosen, token }
}

interface Found {
    readonly standing: string | undefined
    readonly pid: number | null
    readonly present: Awaited<ReturnType<typeof preparedNow>>
    readonly known: readonly KnownBranch[]
    readonly unfinished: readonly Branch[]
}

/** The branches there are: prepared where the node answers, unfinished by the records, or last seen on a node that is away. */
async function gather(parts: RequestParts, order: Order, found: Found): Promise<PlannedBranch[]> {
    const gids = new Map<number, string>()
    for (const { node, gid, state } of found.known)
        if (state === 'waiting' || state === 'open' || state === 'left alone') gids.set(node, gid)
    for (const { facts } of found.unfinished) gids.set(facts.node, facts.gid)
    for (const [node, { gid }] of found.present) gids.set(node, gid)
    const known = new Map(found.known.map((branch) => [branch.node, branch]))
    const listed = [...gids].map(([node, gid]) => known.get(node) ?? { ...UNSEEN, node, gid, name: nameOf(parts, node) })
    const stakes = await stakesNow(parts, listed)
    return listed
        .map((branch): PlannedBranch => {
            const present = found.present.get(branch.node)
            const { state, now } = look(parts, branch, present)
            const step = wouldDo(order, state, found)
            return {
                set: order.set,
                number: branch.node,
                node: branch.name,
                gid: branch.gid,
                owner: present?.owner ?? branch.owner ?? undefined,
                state,
                now,
                at_stake: stakes.get(branch.gid) ?? '',
                decision: demanded(found.standing),
                step
            }
        })
        .filter((branch) => found.standing === 'committed' || found.standing === 'running' || branch.state !== 'not prepared')
        .sort((a, b) => a.node.localeCompare(b.node))
}

const UNSEEN = { state: 'prepared', decision: '', owner: null, locks: null, blocked: null, holds_back: null } as const

function look(
    parts: RequestParts,
    branch: KnownBranch,
    present: { readonly owner: string; readonly prepared_at: string } | undefined
): { state: PlannedBranch['state']; now: string } {
    if (present !== undefined) return { state: 'prepared', now: `prepared since ${minutes(present.prepared_at)} by ${present.owner}` }
    const node = parts.keepers.get(branch.node)?.node
    if (node === undefined || !node.up) return { state: 'away', now: 'does not answer' }
    if (branch.state === 'open') return { state: 'open', now: 'open, not prepared' }
    return { state: 'not prepared', now: 'not prepared any more' }
}

function wouldDo(order: Order, state: PlannedBranch['state'], { standing, pid }: Found): string {
    const word = fateOf(order.action)
    if (standing === 'running')
        return `would end the session of its local transaction${pid === null ? '' : ` (pid ${pid})`}, then roll back`
    const against = (standing === 'committed') !== (order.action === 'commit') && (standing === 'committed' || standing === 'rolled back')
    const note = against ? ': AGAINST THE DECISION' : ''
    if (state === 'away') return `would order ${order.action}: ${ORDERED}${note}`
    if (state === 'not prepared') return 'would look its fate up: it is finished already'
    return `would be ${word}${note}`
}

const demanded = (standing: string | undefined): string =>
    standing === 'committed' ? 'commit' : standing === 'rolled back' ? 'rollback' : standing === 'running' ? 'undecided' : 'unknown'

/** Durable before it is carried out. */
async function record(parts: RequestParts, order: Order, branches: readonly PlannedBranch[]): Promise<void> {
    const gids = branches.map((branch) => branch.gid)
    await parts.fault.at('before order')
    if (gids.length === 0) await parts.catalog.noteEvent(`forced ${order.action}`, order.set, undefined, `${order.by}: ${order.reason}`)
    await parts.catalog.recordForced(gids, order.action, order.by, order.reason, order.acceptMixed)
    await parts.fault.at('after order')
    parts.log.warning(`force_${order.action}`, { set: order.set, by: order.by, reason: order.reason, branches: gids.join(',') })
}

async function forceBranch(parts: RequestParts, order: Order, { number, gid, owner }: PlannedBranch): Promise<string> {
    const live = parts.resolver.find(order.set, number)
    const node = parts.keepers.get(number)?.node
    if (live !== undefined) {
        live.action = order.action
        await parts.resolver.attempt(live)
        if (live.fate === undefined && (node === undefined || !node.up)) {
            parts.resolver.giveUp(live, live.action === 'commit' ? 'forced commit' : 'forced rollback')
            return `${order.action} ordered: ${ORDERED}`
        }
        return describe(live)
    }
    if (node === undefined || !node.up) return `${order.action} ordered: ${ORDERED}`
    const done = await node.finish(order.action, gid, owner)
    if (done.ok) return fateOf(order.action)
    if (done.problem.trouble === 'absent') return 'finished meanwhile by the decision rule, or by its own session'
    return `${order.action} ordered, tried again: ${done.problem.message}`
}

/** Ends the session first, so that it cannot commit afterwards; then what it left prepared is looked at again. */
async function endRunning(parts: RequestParts, order: Order): Promise<readonly PlannedBranch[]> {
    await parts.catalog.endLocalSession(order.set).catch((error: unknown) => {
        throw property(error, 'code') === '42501' ? cannotEnd(order.set) : error
    })
    const standing = await waitUntilFinished(parts, order.set)
    checkAgainstDecision(order, standing)
    const found: Found = {
        standing,
        pid: null,
        present: await preparedNow(parts, order.set),
        known: [],
        unfinished: standing === 'committed' ? await unfinishedBranches(parts, order.set) : []
    }
    const branches = await gather(parts, order, found)
    return branches.filter((branch) => order.node === undefined || branch.node === order.node)
}

async function waitUntilFinished(parts: RequestParts, id: string): Promise<string | undefined> {
    const deadline = Date.now() + ENDING
    for (;;) {
        const now = (await parts.catalog.standing(id))?.standing
        if (now !== 'running') return now ?? undefined
        if (Date.now() > deadline) throw cannotEnd(id)
        await new Promise((done) => setTimeout(done, 20))
    }
}

async function unfinishedBranches(parts: RequestParts, id: string): Promise<Branch[]> {
    if (!parts.resolver.sets.has(id)) {
        const sets = (await parts.catalog.lookAgain([id])).filter((set) => set.outcome === null)
        await parts.resolver.decide(sets, (node) => parts.keepers.get(node)?.node.address.uri ?? 'postgresql://')
    }
    return [...(parts.resolver.sets.get(id)?.branches.values() ?? [])].filter((branch) => branch.fate === undefined)
}

const minutes = (at: string): string => new Date(at).toISOString().slice(0, 16).replace('T', ' ') + ' UTC'

const nameOf = (parts: RequestParts, node: number): string => parts.keepers.get(node)?.node.address.name ?? `node ${node}`

function checkAgainstDecision(order: Order, standing: string | undefined): void {
    const against = (standing === 'committed' && order.action === 'rollback') || (standing === 'rolled back' && order.action === 'commit')
    if (!against || order.acceptMixed) return
    throw new RequestError(
        WRONG_STATE,
        `set "${order.set}" is decided: its local transaction ${standing === 'committed' ? 'committed' : 'did not commit'}`,
        `force_${order.action === 'commit' ? 'rollback' : 'commit'} goes with the decision. To go against it, and have a mixed set, add accept_mixed => true.`
    )
}

function nothingToForce(id: string, standing: string | undefined): RequestError {
    if (standing === 'committed')
        return new RequestError(
            WRONG_STATE,
            `set "${id}" is complete: there is nothing to force`,
            `See: select * from pglobalxact.branches('${id}');`
        )
    if (standing === 'rolled back')
        return new RequestError(
            WRONG_STATE,
            `set "${id}" is not prepared on any node that answers: there is nothing to force`,
            'Its local transaction did not commit; a branch on a node that returns later is rolled back by itself.'
        )
    return unknownSet(id)
}

const noSuchBranch = (order: Order): RequestError =>
    new RequestError(
        UNKNOWN_OBJECT,
        `set "${order.set}" has no unfinished branch on node "${order.node}"`,
        `See: select * from pglobalxact.branches('${order.set}');`
    )

const stillRunning = (id: string): RequestError =>
    new RequestError(
        WRONG_STATE,
        `the local transaction of set "${id}" is still running: it cannot be forced to commit`,
        'COMMIT in its own session; or force_rollback, which ends that session first.'
    )

const cannotEnd = (id: string): RequestError =>
    new RequestError(
        WRONG_STATE,
        `the session of set "${id}" could not be ended`,
        "Role pglobalxact needs membership in pg_signal_backend (and cannot end a superuser's session): end it by hand with pg_terminate_backend, then ask again."
    )
