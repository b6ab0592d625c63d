import { answer, confirmed, describeStake, fingerprint, type AnswerRow, type PlannedBranch } from './plan'
import { parseGid, setId } from './protocol'
import type { KnownBranch } from './records'
import { RequestError, UNKNOWN_OBJECT, unknownSet, WRONG_STATE, type RequestParts } from './request'

/**
 * lose_node and forget: nobody waits any more for a node that will not come back. Nothing is decided by it. A lost branch of
 * a committed set keeps its set on the books as unknown until acknowledged (forget acknowledges at once); should the node
 * come back after all, its keeper settles what is there by the commit records (recovery.ts).
 */
export interface Loss {
    readonly reason: string
    readonly by: string
    readonly confirm: string | undefined
}

const WAITS_NO_MORE = 'no longer waited for; settled by the commit records if the node returns'

export async function loseNode(parts: RequestParts, name: string, loss: Loss): Promise<readonly AnswerRow[]> {
    await parts.refreshNodes()
    const keeper = [...parts.keepers.values()].find((one) => one.node.address.name === name)
    if (keeper === undefined)
        throw new RequestError(UNKNOWN_OBJECT, `node "${name}" does not exist`, 'See: select * from pglobalxact.nodes();')
    if ((await keeper.look(true)).result === 'ok') throw answers(name)
    const { number } = keeper.node.address
    const branches = (await parts.catalog.knownBranches(undefined)).filter((one) => one.node === number).flatMap(plannedLoss)
    const token = fingerprint(['lose_node', number], branches)
    if (loss.confirm === undefined) {
        const plan = branches.map((branch) => answer(branch, branch.step, token))
        const all = `would be declared lost: new sets cannot use it until add_node('${name}')`
        return [{ ...NOTHING, node: name, now: 'does not answer', result: all, confirm: token }, ...plan]
    }
    confirmed(loss.confirm, token)
    await parts.catalog.loseNode(number, loss.by, loss.reason)
    parts.log.warning('node declared lost', { node: name, by: loss.by, reason: loss.reason })
    await parts.refreshNodes()
    await parts.keepers.get(number)?.look(true)
    await parts.resolver.writeBack()
    const result = `declared lost; add_node('${name}') takes it back`
    return [{ ...NOTHING, node: name, now: 'does not answer', result }, ...branches.map((branch) => answer(branch, WAITS_NO_MORE, ''))]
}

export async function forget(parts: RequestParts, id: string, loss: Loss): Promise<readonly AnswerRow[]> {
    const known = await parts.catalog.knownBranches(id)
    if (known.length === 0) throw unknownSet(id)
    const standing = (await parts.catalog.standing(id))?.standing
    if (standing === 'running')
        throw wrong(id, 'is still running: there is nothing to forget', 'It is decided when its local transaction ends.')
    const away = known.filter((one) => one.state === 'waiting' && parts.keepers.get(one.node)?.node.up !== true)
    if (away.length === 0) throw nothingAway(id, known)
    const other = known.find((one) => ['prepared', 'retry', 'left alone'].includes(one.state))
    if (other !== undefined) {
        throw wrong(
            id,
            `is not finished on node "${other.name}", which answers`,
            `First: select * from pglobalxact.retry('${id}'); or force that branch.`
        )
    }
    const branches = away.flatMap(plannedLoss)
    const token = fingerprint(['forget', id, standing ?? null], branches)
    if (loss.confirm === undefined) return branches.map((branch) => answer(branch, branch.step, token))
    confirmed(loss.confirm, token)
    for (const branch of branches) {
        const live = parts.resolver.find(id, branch.number)
        if (live !== undefined && live.fate === undefined) parts.resolver.giveUp(live, 'lost')
    }
    await parts.resolver.writeBack()
    await parts.catalog.forget(
        id,
        branches.map((branch) => branch.gid),
        loss.by,
        loss.reason
    )
    parts.log.warning('set forgotten', { set: id, by: loss.by, reason: loss.reason })
    return branches.map((branch) => answer(branch, WAITS_NO_MORE, ''))
}

function plannedLoss(one: KnownBranch): PlannedBranch[] {
    if (one.state !== 'waiting') return []
    const part = parseGid(one.gid)
    return [
        {
            set: part === undefined ? one.gid : setId(part),
            number: one.node,
            node: one.name,
            gid: one.gid,
            owner: one.owner ?? undefined,
            state: 'away',
            now: 'does not answer',
            at_stake: describeStake(one),
            step: `would be ${WAITS_NO_MORE}`,
            decision: one.decision
        }
    ]
}

const NOTHING: AnswerRow = { set_id: '', node: '', now: '', decision: '', at_stake: '', result: '', confirm: '' }

const answers = (name: string): RequestError =>
    new RequestError(
        WRONG_STATE,
        `node "${name}" answers: it is not lost`,
        `Its branches are settled by themselves. To take it out of use: select pglobalxact.remove_node('${name}');`
    )

const wrong = (id: string, what: string, hint: string): RequestError => new RequestError(WRONG_STATE, `set "${id}" ${what}`, hint)

function nothingAway(id: string, known: readonly KnownBranch[]): RequestError {
    const lost = known.some((one) => ['lost', 'unknown', 'rolled back', 'forced rollback'].includes(one.state))
    return lost
        ? wrong(id, 'waits for no node', `To take it off the books: select pglobalxact.acknowledge('${id}', 'reason');`)
        : wrong(id, 'waits for no node that is away', `See: select * from pglobalxact.branches('${id}');`)
}
