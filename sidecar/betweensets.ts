import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import type { ConnectionConfig } from './connection'
import { Gate, inTime, tooLate } from './gate'
import type { Prepared } from './node'
import { gidPattern } from './protocol'
import type { Verdict } from './records'
import type { Keeper } from './recovery'
import { RequestError, WRONG_STATE, type RequestParts } from './request'
import { nodeSql } from './sqlfiles'
import { describeProblem, messageOf } from './sqlstate'

const OWN_PREPARED = nodeSql('own_prepared')
export const AGAIN = 1 // ms between looks at a node that has not carried everything out yet
const NAMED = 5

/** A node that takes part, and a session there that is in no transaction. */
export interface Place {
    readonly keeper: Keeper
    readonly client: Client
}

export interface Order {
    readonly coordinator: string
    readonly connection: ConnectionConfig
    /** Milliseconds that commits of sets may be held. */
    readonly limit: number
    /** What is decided about branches, while the gate is open. */
    readonly decide: (node: number, gids: readonly string[], xids: readonly string[]) => Promise<readonly Verdict[]>
}

export const orderOf = ({ coordinator, catalog }: RequestParts, connection: ConnectionConfig, limit: number): Order => ({
    coordinator,
    connection,
    limit,
    decide: catalog.decide.bind(catalog)
})

/** For status() and the metrics: what commits were held for, and for how long. */
export async function noteHeld({ tally, catalog }: RequestParts, { closedAt, held }: Moment<unknown>, purpose: string): Promise<void> {
    tally.gateHeld(held)
    await catalog.noteGate(closedAt.toISOString(), held, purpose).catch(() => undefined)
}

/** What else is done while the gate is closed. */
export interface Around<T> {
    /** When all that is decided is carried out, before `work`. */
    readonly ready?: (gate: Gate) => Promise<void>
    /** After it, in the gate's own transaction, which it may commit: in place of the proof that the gate was closed up to here. Throws if it was not. */
    readonly seal?: (gate: Gate, result: T) => Promise<void>
}

export interface Moment<T> {
    readonly result: T
    readonly closedAt: Date
    /** Milliseconds. */
    readonly held: number
}

/**
 * Does something on many servers at a moment between two sets: of every set all is there, on the coordinator and on these nodes, or nothing.
 *
 *   1  The gate is closed: every set that has committed is visible, and none commits.
 *   2  On each node P is read, its branches of this coordinator that are prepared, and then what is decided about them (R). A branch of
 *      a committed set was prepared before its decision, so before 1: what is not in P has ended there. P without any of R
 *      means that all which is decided is carried out on the node. Until then its keeper works on, and P is read again.
 *   3  So it stays while the gate is closed: what is prepared now belongs to sets that are not decided. `work` is done.
 *   4  The gate is proved to have been closed up to here. If not, what `work` did is not used.
 *
 * Nothing of it rests on what this process remembers of its sets: P and R are read anew. Were R read before P, or P before
 * 1, a set could be decided between the two, and be finished on one node before `work` and on another behind it.
 */
export async function betweenSets<T>(
    order: Order,
    places: readonly Place[],
    work: () => Promise<T>,
    { ready, seal }: Around<T> = {}
): Promise<Moment<T>> {
    const { connection, limit } = order
    // Once with the gate open: nobody is to be held up for what cannot be finished anyway.
    await Promise.all(places.map((place) => refuseTrouble(order, place)))
    const gate = await Gate.close(connection, limit)
    let result: T
    let held = 0
    try {
        const done = async (): Promise<T> => {
            await Promise.all(places.map((place) => carriedOut(order, gate, place)))
            await ready?.(gate)
            return work()
        }
        result = await inTime(gate, limit, done())
        await (seal === undefined ? gate.prove() : inTime(gate, limit, seal(gate, result)))
    } finally {
        held = await gate.open()
    }
    return { result, closedAt: gate.closedAt, held }
}

async function prepared(order: Order, { keeper, client }: Place): Promise<readonly Pick<Prepared, 'gid' | 'xid'>[]> {
    const read = client.query<Pick<Prepared, 'gid' | 'xid'>>(OWN_PREPARED, [gidPattern(order.coordinator)])
    return (await onNode(keeper.node.address.name, read)).rows
}

/** With the node's name in the error. */
export const onNode = <T>(name: string, work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
        throw new RequestError(
            WRONG_STATE,
            `node "${name}" failed meanwhile: ${messageOf(error)}`,
            'Nothing was done, and commits of sets go on. See: select * from pglobalxact.nodes();'
        )
    })

/** Branches that will not be finished by themselves, or not soon. */
async function refuseTrouble(order: Order, place: Place): Promise<void> {
    const { keeper } = place
    const { number, name } = keeper.node.address
    // It answers, as there is a session: its keeper need not wait until it is to try again.
    if (!keeper.node.up) await keeper.look(true)
    const branches = await prepared(order, place)
    const verdicts = await order.decide(
        number,
        branches.map(({ gid }) => gid),
        branches.map(({ xid }) => xid)
    )
    const nobodys = verdicts.filter(({ verdict }) => verdict === 'lost' || verdict === 'purged')
    if (nobodys.length > 0)
        throw open(name, `has branches of which nobody can say whether they are decided: ${list(nobodys)}`, nobodys[0]!.reason)
    const decided = verdicts.filter(({ verdict }) => verdict === 'commit')
    const failing = decided.filter(({ gid }) => keeper.problemOf(gid) !== undefined)
    if (failing.length > 0)
        throw open(name, `cannot finish branches of committed sets: ${list(failing)}`, describeProblem(keeper.problemOf(failing[0]!.gid)!))
    if (!keeper.node.up && decided.length > 0)
        throw open(name, `has branches of committed sets, and they cannot be finished: ${list(decided)}`, keeper.node.fenceState)
}

/** Returns when all that is decided is carried out on the node. */
async function carriedOut(order: Order, gate: Gate, place: Place): Promise<void> {
    const { number, name } = place.keeper.node.address
    for (;;) {
        const branches = await prepared(order, place)
        if (branches.length === 0) return
        const verdicts = await gate.decide(number, branches)
        const left = verdicts.filter(({ verdict }) => verdict === 'commit' || verdict === 'lost' || verdict === 'purged')
        if (left.length === 0) return
        if (gate.timeLeft <= AGAIN) throw tooLate(order.limit, `Not finished on node "${name}": ${list(left)}.`)
        await sleep(AGAIN)
    }
}

const list = (verdicts: readonly Verdict[]): string =>
    verdicts
        .slice(0, NAMED)
        .map(({ gid }) => gid)
        .join(', ') + (verdicts.length > NAMED ? ` and ${verdicts.length - NAMED} more` : '')

const open = (node: string, what: string, why: string): RequestError =>
    new RequestError(
        WRONG_STATE,
        `node "${node}" ${what}`,
        `See: select * from pglobalxact.branches(); or leave the node out: nodes => '{…}' names the others.`,
        why
    )
