import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { AGAIN, betweenSets, noteHeld, orderOf } from './betweensets'
import type { ConnectionConfig } from './connection'
import { coordinatorSession } from './coordinatorsession'
import { tooLate, type Gate } from './gate'
import { removeLeft, removeMark, sessionNameOf } from './marks'
import { write, type Facts, type NodeSite, type PointServer, type Site } from './pointwrite'
import type { Keeper } from './recovery'
import { RequestError, WRONG_STATE, type RequestParts } from './request'
import { connectToNode, destroy } from './session'
import { away, chosen, COORDINATOR, unhurried } from './snapshots'
import { nodeSql } from './sqlfiles'
import { messageOf } from './sqlstate'

export interface PointOrder {
    readonly name: string
    /** All that are in use, if undefined. */
    readonly nodes: readonly string[] | undefined
    /** Milliseconds that commits of sets may be held. */
    readonly limit: number
    readonly by: string
}

/** What is to be known of a restore point when servers have been restored to it: reconcile.ts. */
export interface Manifest {
    readonly format: 1
    readonly name: string
    readonly id: string
    readonly coordinator: string
    readonly at: string
    readonly held_ms: number
    /** The coordinator's: the sets that are finished in it are in, all others are not. */
    readonly snapshot: string
    readonly servers: readonly PointServer[]
    readonly left_out: readonly string[]
    /** Branches of committed sets on nodes that were left out, unfinished. */
    readonly open: readonly string[]
}

const FACTS = nodeSql('point_facts')
const NOT_ALLOWED = '42501'

/**
 * Restore points of one moment between two sets, on the coordinator and its nodes: create_restore_point. With the gate closed, all that is
 * decided carried out, and that written down on the coordinator (else the sets would be open again after a recovery, and a node
 * on a new time line proves nothing of an xid any more):
 *
 *   1  on the coordinator a row is committed (sql/migrations/8_restore.sql);
 *   2  on each node a mark is made: a transaction that did nothing is prepared;
 *   3  the restore points are written, everywhere;
 *   4  the marks are rolled back, everywhere;
 *   5  the row gets the manifest, in the transaction whose commit opens the gate.
 *
 * So a coordinator whose row has no manifest, and a node that has its mark, are known to have been restored to this moment, wherever in
 * it: between 1 and 5 no set commits, and all that have are finished. Each step is done everywhere before the next, as two
 * of the databases may be on one server, whose recovery stops at the first restore point of the name.
 *
 * A failure or death on the way leaves a row without a manifest on the time line on which it was begun, and marks perhaps: tidy() ends
 * them, then and whenever a sidecar begins to act. Nobody has a manifest of it. If the coordinator fails over meanwhile, the row is not there, or
 * looks like that of a restored coordinator, and stays: the marks are ended all the same, on nodes that were not restored.
 */
export class RestorePoints {
    /** One at a time, tidying included: what another makes at the time is not broken off. */
    private turn: Promise<unknown> = Promise.resolve()
    private untidy = true
    /** Nodes that were seen through for marks since this sidecar began to act. */
    private readonly swept = new Set<number>()

    constructor(private readonly connection: ConnectionConfig) {}

    create(parts: RequestParts, order: PointOrder): Promise<Manifest> {
        const mine = this.turn.then(() => this.take(parts, order))
        this.turn = mine.catch(() => undefined)
        return mine
    }

    /** Another sidecar may have acted meanwhile, and this one may have lost its nodes on the way. */
    distrust(): void {
        this.untidy = true
        this.swept.clear()
    }

    /** Ends what is left of restore points that were not completed. What cannot be ended now is tried again at the next call. */
    tidy(parts: Pick<RequestParts, 'catalog' | 'coordinator' | 'keepers' | 'config' | 'log'>): Promise<void> {
        const unswept = [...parts.keepers.values()].filter(({ node }) => node.up && !this.swept.has(node.address.number))
        if (!this.untidy && unswept.length === 0) return Promise.resolve()
        const mine = this.turn.then(async () => {
            await Promise.allSettled(unswept.map((keeper) => this.sweep(parts, keeper)))
            if (!this.untidy) return
            this.untidy = false
            for (const { id, nodes } of await parts.catalog.brokenPoints()) {
                const keepers = nodes.flatMap((number) => parts.keepers.get(number) ?? [])
                const gone = await Promise.allSettled(
                    keepers.map(({ node }) => removeMark(node.address, { coordinator: parts.coordinator, id }, parts.config.nodeTimeout))
                )
                if (gone.every(({ status }) => status === 'fulfilled')) await parts.catalog.giveUpPoint(id)
                else this.untidy = true
            }
        })
        this.turn = mine.catch(() => (this.untidy = true))
        return mine.catch((error: unknown) => parts.log.warning('restore points not tidied', { error: messageOf(error) }))
    }

    private async sweep({ coordinator, config }: Pick<RequestParts, 'coordinator' | 'config'>, { node }: Keeper): Promise<void> {
        if (this.swept.has(node.address.number)) return
        await removeLeft(node, coordinator, config.nodeTimeout)
        this.swept.add(node.address.number)
    }

    private async take(parts: RequestParts, order: PointOrder): Promise<Manifest> {
        await parts.refreshNodes()
        const id = randomBytes(8).toString('hex')
        const keepers = chosen(parts, order.nodes)
        const sites = await this.open(parts, id, keepers)
        const { coordinator, nodes } = sites
        try {
            for (const site of [coordinator, ...nodes]) refuseSite(site)
            let manifest: Manifest | undefined
            const moment = await betweenSets(
                orderOf(parts, this.connection, order.limit),
                nodes,
                () => write({ ...order, id, coordinator: parts.coordinator }, sites),
                {
                    ready: (closed) => writtenBack(parts, closed, order.limit, keepers),
                    seal: async (closed, servers) => {
                        manifest = await describe(parts, id, order.name, closed, servers)
                        await closed.ask('select pglobalxact._complete_restore_point($1, $2)', [id, JSON.stringify(manifest)])
                        await closed.commit()
                    }
                }
            )
            parts.log.info('restore point written', {
                name: order.name,
                servers: manifest!.servers.length,
                held_ms: moment.held.toFixed(1)
            })
            await noteHeld(parts, moment, `create_restore_point ${order.name}`)
            return manifest!
        } catch (error) {
            this.untidy = true
            throw error
        } finally {
            for (const { client } of [coordinator, ...nodes]) destroy(client)
        }
    }

    /** Before the gate is closed: connecting takes longer than all the rest. */
    private async open(
        parts: RequestParts,
        id: string,
        keepers: readonly Keeper[]
    ): Promise<{ readonly coordinator: Site; readonly nodes: readonly NodeSite[] }> {
        const settings = { name: sessionNameOf({ coordinator: parts.coordinator, id }), timeout: parts.config.nodeTimeout }
        const opened: Client[] = []
        const visit = async (name: string, session: Promise<Client>): Promise<Site> => {
            const client = await session
            opened.push(client)
            await unhurried(client)
            // The restore point is to be durable here; whether a standby of this server has it is nobody's business.
            await client.query("select set_config('synchronous_commit', $1, false)", [name === COORDINATOR ? 'on' : 'local'])
            return { name, client, ...(await client.query<Facts>(FACTS)).rows[0]! }
        }
        const [coordinator, ...nodes] = await Promise.allSettled([
            visit(COORDINATOR, coordinatorSession(this.connection, `pglobalxact sidecar (restore point ${id})`)),
            ...keepers.map(({ node }) => visit(node.address.name, connectToNode(node.address, settings)))
        ])
        const failed = [coordinator, ...nodes].findIndex(({ status }) => status === 'rejected')
        if (failed >= 0) {
            opened.forEach(destroy)
            const { reason } = [coordinator, ...nodes][failed] as PromiseRejectedResult
            throw failed === 0 ? reason : away(parts, keepers[failed - 1]!, reason)
        }
        const site = (one: PromiseSettledResult<Site>): Site => (one as PromiseFulfilledResult<Site>).value
        return { coordinator: site(coordinator), nodes: nodes.map((one, at) => ({ ...site(one), keeper: keepers[at]! })) }
    }
}

/** Before anyone is held. */
function refuseSite({ name, login, may, standby, wal_level }: Site): void {
    const where = name === COORDINATOR ? 'the coordinator' : `node "${name}"`
    if (standby)
        throw new RequestError(WRONG_STATE, `${where} is a standby: no restore point can be written there`, 'Write it on the primary.')
    if (wal_level === 'minimal')
        throw new RequestError(
            WRONG_STATE,
            `${where} has wal_level = minimal: it cannot be restored to a moment`,
            'Set wal_level = replica and archive_mode = on there, and take a base backup.'
        )
    if (!may)
        throw new RequestError(
            NOT_ALLOWED,
            `role "${login}" may not write restore points on ${where}`,
            `There, as a superuser and in this very database: grant execute on function pg_catalog.pg_create_restore_point(text) to ${quoted(login)};`,
            'Nothing was done, and no commit was held.'
        )
}

const quoted = (name: string): string => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`)

/** Returns when it is written down of every branch on these nodes that it is finished. No set is added while the gate is closed. */
async function writtenBack({ resolver }: RequestParts, gate: Gate, limit: number, keepers: readonly Keeper[]): Promise<void> {
    const numbers = keepers.map(({ node }) => node.address.number)
    for (;;) {
        const [left] = await gate.ask<{ gid: string }>('select gid from pglobalxact._unfinished() where node = any ($1) limit 1', [numbers])
        if (left === undefined) return
        if (gate.timeLeft <= AGAIN) throw tooLate(limit, `Not written back yet: ${left.gid}.`)
        resolver.tellAll()
        await resolver.writeBack()
        await sleep(AGAIN)
    }
}

async function describe(
    { coordinator, keepers }: RequestParts,
    id: string,
    name: string,
    gate: Gate,
    servers: readonly PointServer[]
): Promise<Manifest> {
    const [moment] = await gate.ask<{ snapshot: string; at: string; open: string[] }>(
        "select pg_current_snapshot()::text as snapshot, clock_timestamp()::text as at, coalesce((select json_agg(u.gid) from pglobalxact._unfinished() u), '[]') as open"
    )
    const inIt = new Set(servers.map(({ number }) => number))
    const left_out = [...keepers.values()].map(({ node }) => node.address).filter(({ active, number }) => active && !inIt.has(number))
    const held_ms = Math.round(gate.closedFor * 10) / 10
    return { format: 1, name, id, coordinator, ...moment!, held_ms, servers, left_out: left_out.map((one) => one.name) }
}
