import { createHash } from 'node:crypto'
import { parseGid, setId } from './protocol'
import type { KnownBranch } from './records'
import { RequestError, WRONG_STATE, type RequestParts } from './request'
import type { Changes } from './watch/changes'

/**
 * What a person is about to do, shown before it is done. The token is a fingerprint of everything the plan rests on, so a
 * plan that is no longer true cannot be carried out: it is made anew at the second call, and then has another token.
 */
export interface PlannedBranch {
    readonly set: string
    readonly number: number
    readonly node: string
    readonly gid: string
    /** Known while it is prepared on a node that answers. */
    readonly owner: string | undefined
    readonly state: 'prepared' | 'away' | 'not prepared' | 'open'
    /** What the node says now. */
    readonly now: string
    readonly at_stake: string
    /** What the commit record, or its absence, demands. */
    readonly decision: string
    /** What will be done, in words. */
    readonly step: string
}

export interface AnswerRow {
    readonly set_id: string
    readonly node: string
    readonly now: string
    readonly decision: string
    readonly at_stake: string
    readonly result: string
    readonly confirm: string
}

/** `about`: whatever else the plan rests on, such as the decision and what was asked for. */
export function fingerprint(about: unknown, branches: readonly PlannedBranch[]): string {
    const facts = [about, branches.map(({ gid, owner, state, step }) => [gid, owner ?? null, state, step])]
    return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 8)
}

/** Throws unless the call confirms this very plan; a script that needs no plan says 'yes'. */
export function confirmed(given: string, token: string): void {
    if (given === 'yes' || given === token) return
    throw new RequestError(
        WRONG_STATE,
        'the plan has changed since it was shown: nothing was done',
        'Look at the new plan: call again without confirm.',
        `The token given is ${given}, the present plan's is ${token}.`
    )
}

export const answer = (branch: PlannedBranch, result: string, confirm: string): AnswerRow => ({
    set_id: branch.set,
    node: branch.node,
    now: branch.now,
    decision: branch.decision,
    at_stake: branch.at_stake,
    result,
    confirm
})

export interface Present {
    readonly gid: string
    readonly owner: string
    readonly prepared_at: string
}

/** Branches that are prepared on the nodes that answer, looked at now; of one set, or by node of all. */
export async function preparedNow(parts: RequestParts, id: string): Promise<Map<number, Present>> {
    const found = new Map<number, Present>()
    await Promise.all(
        [...parts.keepers.values()].map(async ({ node }) => {
            const scan = node.up ? await node.scan().catch(() => undefined) : undefined
            for (const { gid, owner, prepared_at } of scan?.prepared ?? []) {
                const part = parseGid(gid)
                if (part !== undefined && setId(part) === id && part.node === node.address.number) {
                    found.set(part.node, { gid, owner, prepared_at })
                }
            }
        })
    )
    return found
}

/** What the branches hold up: asked of the nodes that answer, else the last that was seen. */
export async function stakesNow(parts: RequestParts, known: readonly KnownBranch[]): Promise<ReadonlyMap<string, string>> {
    const texts = new Map(known.map((branch) => [branch.gid, describeStake(branch)]))
    await Promise.all(
        known.map(async ({ node: number, gid }) => {
            const node = parts.keepers.get(number)?.node
            const [stake] = node?.up === true ? await node.stakes([gid]).catch(() => []) : []
            const changes = parts.watches.changesOf(number, gid) ?? (await parts.catalog.watchBook.kept(gid))
            const told = stake === undefined ? texts.get(gid)! : describeStake(stake)
            texts.set(gid, [changes === undefined ? '' : describeChanges(changes), told].filter((text) => text !== '').join('; '))
        })
    )
    return texts
}

/** The rows themselves are users' data, and this answer is kept: changes() shows them. */
function describeChanges({ total, tables }: Omit<Changes, 'rows'>): string {
    const parts = Object.entries(tables)
        .map(([what, count]) => `${what} ${count}`)
        .sort()
    return `changes ${total} ${total === 1 ? 'row' : 'rows'}${parts.length === 0 ? '' : ` (${parts.join(', ')})`}: see pglobalxact.changes()`
}

interface Weight {
    readonly locks: string | null
    readonly blocked: number | null
    readonly holds_back: string | null
    readonly pids?: readonly number[]
}

export function describeStake(stake: Weight): string {
    const { locks, blocked, holds_back, pids } = stake
    const parts = [
        locks ? `locks ${locks}` : '',
        blocked ? `${blocked} ${blocked === 1 ? 'session waits' : 'sessions wait'}${pids?.length ? ` (pid ${pids.join(', ')})` : ''}` : '',
        Number(holds_back ?? 0) > 1 ? `vacuum keeps the dead rows of ${holds_back} transactions` : ''
    ]
    return parts.filter((part) => part !== '').join('; ')
}
