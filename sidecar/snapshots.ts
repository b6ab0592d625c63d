import type { Client } from 'pg'
import { betweenSets, noteHeld, onNode, orderOf, type Moment, type Place } from './betweensets'
import type { ConnectionConfig } from './connection'
import { coordinatorSession } from './coordinatorsession'
import type { Keeper } from './recovery'
import { RequestError, UNKNOWN_OBJECT, WRONG_STATE, type RequestParts } from './request'
import { connectToNode, destroy } from './session'
import { messageOf } from './sqlstate'

export interface ExportOrder {
    /** Of the request: it names the export. */
    readonly id: string
    /** All that are in use, if undefined. */
    readonly nodes: readonly string[] | undefined
    /** Milliseconds that commits of sets may be held. */
    readonly limit: number
    /** Milliseconds that the snapshots are held, unless they are released before. */
    readonly keep: number
}

interface Export {
    readonly sessions: readonly Client[]
    readonly expiry: NodeJS.Timeout
}

export const COORDINATOR = '(coordinator)'
const GRACE = 30_000 // ms behind the expiry after which a server ends the session by itself, should this process not
const GOODBYE = 2000 // ms

/**
 * Snapshots of one moment of many servers (export_snapshots). Each is an open transaction in a session of its own. They are here,
 * and not in the session of whoever asked, so that they need none of his rights; what bounds their life is release_snapshots(), their
 * expiry, and this process: with it its connections end, and with those the snapshots. The servers end them too, should it be frozen.
 */
export class Snapshots {
    private readonly exports = new Map<string, Export>()
    /** One gate at a time. */
    private turn: Promise<unknown> = Promise.resolve()
    /** Counts the coordinator's losses: an export begun before one is worth nothing, as the coordinator's snapshot is gone. */
    private era = 0

    constructor(
        private readonly connection: ConnectionConfig,
        private readonly tell: (exports: number) => void
    ) {}

    export(parts: RequestParts, order: ExportOrder): Promise<unknown> {
        const mine = this.turn.then(() => this.take(parts, order))
        this.turn = mine.catch(() => undefined)
        return mine
    }

    private async take(parts: RequestParts, order: ExportOrder): Promise<unknown> {
        const { era } = this
        await parts.refreshNodes()
        const keepers = chosen(parts, order.nodes)
        const { coordinator, places } = await this.open(parts, order, keepers)
        const sessions = [coordinator, ...places.map(({ client }) => client)]
        try {
            const moment = await betweenSets(orderOf(parts, this.connection, order.limit), places, () =>
                Promise.all([
                    snapshotOf(coordinator, order.keep),
                    ...places.map(({ keeper, client }) => onNode(keeper.node.address.name, snapshotOf(client, order.keep)))
                ])
            )
            if (era !== this.era) throw new RequestError(WRONG_STATE, 'the sidecar lost the coordinator meanwhile', 'Try again.')
            return this.keep(parts, order, moment, sessions, [COORDINATOR, ...keepers.map(({ node }) => node.address.name)])
        } catch (error) {
            sessions.forEach(destroy)
            throw error
        }
    }

    /** Before the gate is closed: connecting takes longer than all the rest. */
    private async open(
        parts: RequestParts,
        { id }: ExportOrder,
        keepers: readonly Keeper[]
    ): Promise<{ readonly coordinator: Client; readonly places: readonly Place[] }> {
        const settings = { name: `pglobalxact snapshots ${id} of ${parts.coordinator}`, timeout: parts.config.nodeTimeout }
        const tries = await Promise.allSettled([
            coordinatorSession(this.connection, `pglobalxact sidecar (snapshots ${id})`).then(unhurried),
            ...keepers.map(({ node }) => connectToNode(node.address, settings).then(unhurried))
        ])
        const opened = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
        const [coordinator, ...clients] = opened
        if (coordinator !== undefined && opened.length === tries.length)
            return { coordinator, places: keepers.map((keeper, index) => ({ keeper, client: clients[index]! })) }
        opened.forEach(destroy)
        const at = tries.findIndex((one) => one.status === 'rejected')
        const failed = tries[at] as PromiseRejectedResult
        throw at === 0 ? failed.reason : away(parts, keepers[at - 1]!, failed.reason)
    }

    private async keep(
        parts: RequestParts,
        { id, keep }: ExportOrder,
        moment: Moment<readonly string[]>,
        sessions: readonly Client[],
        names: readonly string[]
    ): Promise<unknown> {
        const { result, closedAt, held } = moment
        const expiry = setTimeout(() => void this.release(id), keep).unref()
        this.exports.set(id, { sessions, expiry })
        this.tell(this.exports.size)
        parts.log.info('snapshots exported', { export: id, servers: names.length, held_ms: held.toFixed(1) })
        await noteHeld(parts, moment, `export_snapshots ${id}`)
        const expires_at = new Date(closedAt.getTime() + keep).toISOString()
        return { export: id, held_ms: held, expires_at, snapshots: names.map((node, index) => ({ node, snapshot: result[index] })) }
    }

    /** Of one export, or all; returns how many there were. */
    async release(id?: string): Promise<number> {
        const ending = [...this.exports].filter(([one]) => id === undefined || one === id)
        for (const [one, { expiry }] of ending) {
            clearTimeout(expiry)
            this.exports.delete(one)
        }
        this.tell(this.exports.size)
        await Promise.all(ending.flatMap(([, { sessions }]) => sessions.map(goodbye)))
        return ending.length
    }

    /** The coordinator is lost, or this sidecar stops: an export without the coordinator's own snapshot is none. */
    drop(): void {
        this.era += 1
        for (const { sessions } of this.exports.values()) sessions.forEach(destroy)
        void this.release()
    }
}

/** PostgreSQL 17 can end a transaction for its length, and a role or a database may have that set. */
export async function unhurried(session: Client): Promise<Client> {
    await session.query("select set_config(s.name, '0', false) from pg_catalog.pg_settings s where s.name = 'transaction_timeout'")
    return session
}

/** From now on the session's transaction holds it. A server ends the transaction by itself some time after `keep`. */
async function snapshotOf(session: Client, keep: number): Promise<string> {
    await session.query('begin isolation level repeatable read read only')
    const { rows } = await session.query<{ id: string }>('select pg_export_snapshot() as id')
    await session.query("select set_config('idle_in_transaction_session_timeout', $1, true)", [`${keep + GRACE}ms`])
    return rows[0]!.id
}

/** Gone, on the server too, when this returns; unless the server does not answer. */
async function goodbye(session: Client): Promise<void> {
    const late = new Promise<void>((done) => setTimeout(done, GOODBYE).unref())
    await Promise.race([session.query('rollback').catch(() => undefined), late])
    destroy(session)
}

export function chosen({ keepers }: Pick<RequestParts, 'keepers'>, names: readonly string[] | undefined): readonly Keeper[] {
    const usable = [...keepers.values()].filter(({ node }) => node.address.active && !node.address.lost)
    for (const name of names ?? []) {
        if (!usable.some(({ node }) => node.address.name === name))
            throw new RequestError(
                UNKNOWN_OBJECT,
                `node "${name}" does not exist, or was removed or lost`,
                'See: select * from pglobalxact.nodes();'
            )
    }
    return usable
        .filter(({ node }) => names === undefined || names.includes(node.address.name))
        .sort((a, b) => a.node.address.name.localeCompare(b.node.address.name))
}

export function away({ resolver }: Pick<RequestParts, 'resolver'>, { node }: Keeper, reason: unknown): RequestError {
    const { name, number } = node.address
    const gids = resolver.pendingOn(number).map(({ facts }) => facts.gid)
    const open =
        gids.length === 0
            ? 'Nothing that is committed is known to be unfinished there.'
            : `Committed and unfinished there: ${gids.slice(0, 5).join(', ')}${gids.length > 5 ? ` and ${gids.length - 5} more` : ''}.`
    return new RequestError(
        WRONG_STATE,
        `node "${name}" cannot be reached: ${messageOf(reason)}`,
        "See: select * from pglobalxact.nodes(); or leave it out: nodes => '{…}' names the others.",
        open
    )
}
