/** How a set is brought to a point and held there. */
import type { FaultPoint } from '../../../sidecar/fault'
import { Client } from 'pg'
import { startProxy, type Proxy } from '../../support/proxy'
import { until } from '../../support/wait'
import type { World } from '../../support/world'
import { openClient, sendCommit, type Session } from '../support/session'
import { Stop } from '../support/sqlfaults'
import type { Point } from './points'

export const AMOUNT = 10

/** What a client heard: that it is committed, an error of the server's, or nothing but the end of its connection. */
export type Told = 'committed' | 'rolled back' | 'nothing'

export interface Standing {
    readonly sets: readonly string[]
    /** Nodes to which each of the sets moves money. */
    readonly nodes: readonly string[]
    /** The session whose COMMIT it is; undefined where it is over. */
    readonly session: Session | undefined
    /** Lets what stands go on; called once, after the deaths, while what died is still dead. */
    release(): Promise<void>
    /** Waits for whatever the client is told. */
    told(): Promise<Told>
    /** Gives everything back. */
    end(): Promise<void>
}

export type Scene = (world: World, point: Point) => Promise<Standing>

const NOTHING = async (): Promise<void> => undefined

export async function asTold(answer: Promise<'committed' | Error>): Promise<Told> {
    const heard = await answer
    if (heard === 'committed') return heard
    // A FATAL is the end of the session, and says nothing about its transaction; nor does the end of the connection.
    return (heard as { readonly severity?: unknown }).severity === 'ERROR' ? 'rolled back' : 'nothing'
}

/** From the coordinator to the nodes. A second set, while the first one's branches hold their locks, needs another account. */
async function transfer(session: Session, nodes: readonly string[], account = 1): Promise<string> {
    await session.run('begin')
    await session.run(`update account set balance = balance - ${AMOUNT * nodes.length} where id = ${account}`)
    for (const node of nodes)
        await session.run(`select pglobalxact.exec('${node}', 'update account set balance = balance + ${AMOUNT} where id = ${account}')`)
    const { rows } = (await session.run('select pglobalxact.set_id() as id')) as { readonly rows: readonly { readonly id: string }[] }
    return rows[0]!.id
}

async function acting(world: World): Promise<void> {
    if (!world.sidecar?.running) await world.startSidecar()
}

const preparedAre = (world: World, count: number): Promise<unknown> =>
    until(`${count} branches are prepared`, async () => (await world.prepared()).length === count, { everyMs: 5 })

interface InCommit {
    /** Branches prepared when it stands there. */
    readonly prepared: number
    /** A node where the set only reads. */
    readonly reads?: string
    /** A node whose PREPARE fails. */
    readonly refuses?: string
}

/** A session that stands at a fault point of its local COMMIT. */
export const atSqlPoint =
    ({ prepared, reads, refuses }: InCommit): Scene =>
    async (world, { sql }) => {
        await acting(world)
        return standAt(world, sql!, prepared, reads, refuses)
    }

async function standAt(world: World, point: string, prepared: number, reads?: string, refuses?: string): Promise<Standing> {
    const session = await openClient(world)
    const stop = await Stop.close(world, point)
    const nodes = [...world.nodes.keys()].filter((node) => node !== reads)
    const set = await transfer(session, nodes)
    if (reads) await session.run(`select from pglobalxact.query('${reads}', 'select 1') as t (one integer)`)
    if (refuses) await session.run(`select pglobalxact.exec('${refuses}', 'create temporary table passing ()')`)
    const answer = sendCommit(session)
    await stop.reached()
    await preparedAre(world, prepared)
    return {
        sets: [set],
        nodes,
        session,
        release: () => stop.open(),
        told: () => asTold(answer),
        end: () => session.killClient()
    }
}

/** The local commit is on disk, and waits for a standby that does not exist: no snapshot sees it yet. */
export const inLocalCommit: Scene = async (world) => {
    await acting(world)
    const session = await openClient(world)
    const set = await transfer(session, [...world.nodes.keys()])
    await world.coordinator.reload({ synchronous_standby_names: 'nobody' })
    const answer = sendCommit(session)
    const sql = "select from pg_stat_activity where pid = $1 and wait_event = 'SyncRep'"
    await until('the COMMIT waits for a standby', async () => (await world.sql(sql, [session.pid])).length > 0)
    const { coordinator } = world
    const release = (): Promise<void> =>
        coordinator[coordinator.pid === undefined ? 'configure' : 'reload']({ synchronous_standby_names: null })
    const told = (): Promise<Told> => asTold(answer)
    return { sets: [set], nodes: [...world.nodes.keys()], session, release, told, end: () => session.killClient() }
}

/** The network takes the answer to COMMIT; the sidecar stands still, so that nothing is finished meanwhile. */
export const answerLost: Scene = async (world) => {
    await acting(world)
    const proxy = await startProxy(world.coordinator.port)
    const session = await openThrough(world, proxy)
    const set = await transfer(session, [...world.nodes.keys()])
    world.sidecar!.pause()
    const cut = proxy.onClientData('commit', 'after', () => proxy.blackhole())
    const answer = sendCommit(session)
    await cut
    await until('the commit record is visible', async () => {
        const [row] = await world.sql<{ outcome: string }>('select pglobalxact.outcome($1) as outcome', [set])
        return row?.outcome === 'committed'
    })
    return {
        sets: [set],
        nodes: [...world.nodes.keys()],
        session,
        release: () => Promise.resolve(proxy.resetAll()),
        told: () => asTold(answer),
        end: async () => {
            await session.killClient()
            await proxy.close()
        }
    }
}

async function openThrough(world: World, { port }: Proxy): Promise<Session> {
    const client = new Client({ ...world.login('app'), host: world.coordinator.host, port })
    client.on('error', () => undefined)
    await client.connect()
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    return { pid: rows[0]!.pid, run: (sql) => client.query(sql), killClient: async () => void client.connection.stream.destroy() }
}

/** A sidecar that stops itself at the point. */
async function stopping(world: World, point: FaultPoint): Promise<{ readonly stopped: () => Promise<unknown> }> {
    await world.sidecar?.kill()
    const sidecar = world.launchSidecar(['--fault-point', point])
    return { stopped: () => sidecar.waitForLog(new RegExp(`stopped at fault point point="${point}"`)) }
}

/** ... and that reaches both nodes before: otherwise it would have nothing to send when a set is decided. */
async function stoppingAndActing(world: World, point: FaultPoint): ReturnType<typeof stopping> {
    const stop = await stopping(world, point)
    await world.sidecar!.waitForLog(/ acting /)
    await world.nodesReached()
    return stop
}

async function commitOne(world: World, account = 1): Promise<{ readonly set: string; readonly session: Session }> {
    const session = await openClient(world)
    const set = await transfer(session, [...world.nodes.keys()], account)
    const answer = await sendCommit(session)
    if (answer !== 'committed') throw answer
    return { set, session }
}

const committed = (world: World, sessions: readonly Session[], sets: readonly string[]): Standing => ({
    sets,
    nodes: [...world.nodes.keys()],
    session: sessions.at(-1),
    release: NOTHING,
    told: () => Promise.resolve('committed'),
    end: async () => {
        for (const session of sessions) await session.killClient()
    }
})

/** A set is committed, and the sidecar stops on the way to its end. */
export const committedThen =
    ({ prepared }: { readonly prepared?: number } = {}): Scene =>
    async (world, { sidecar }) => {
        const { stopped } = await stoppingAndActing(world, sidecar!)
        const { set, session } = await commitOne(world)
        await stopped()
        // With one branch left a node has acted, be it that the other's order is under way as well.
        if (prepared !== undefined)
            await until('the nodes have acted', async () => (await world.prepared()).length <= prepared, { everyMs: 5 })
        return committed(world, [session], [set])
    }

/** A sidecar dies at `first`; the one after it stops at the point. */
export const twoLives =
    (first: FaultPoint): Scene =>
    async (world, { sidecar }) => {
        const { stopped } = await stoppingAndActing(world, first)
        const { set, session } = await commitOne(world)
        await stopped()
        await (await stopping(world, sidecar!)).stopped()
        return committed(world, [session], [set])
    }

/** The same, and another set is committed in between: the old state file must go over into a new one. */
export const onceMore =
    (first: FaultPoint): Scene =>
    async (world, { sidecar }) => {
        const { stopped } = await stoppingAndActing(world, first)
        const one = await commitOne(world)
        await stopped()
        await world.sidecar!.kill()
        const two = await commitOne(world, 2)
        await (await stopping(world, sidecar!)).stopped()
        return committed(world, [one.session, two.session], [one.set, two.set])
    }

/** A session dies with all its branches prepared, and the sidecar stops on the way to roll them back. */
export const orphaned =
    ({ gone = false } = {}): Scene =>
    async (world, { sidecar }) => {
        await world.sidecar?.kill()
        const standing = await standAt(world, 'after prepares', 2)
        await world.sql('select pg_terminate_backend($1, 10000)', [standing.session!.pid])
        await standing.release()
        await (await stopping(world, sidecar!)).stopped()
        if (gone) await until('a node has rolled back', async () => (await world.prepared()).length < 2, { everyMs: 5 })
        return { ...standing, session: undefined, release: NOTHING }
    }

/** Both stand still: the session before its local commit, the sidecar with the branches seen and their record not looked for. */
export const atVerdict: Scene = async (world, { sidecar }) => {
    const { stopped } = await stoppingAndActing(world, sidecar!)
    const standing = await standAt(world, 'after prepares', 2)
    await stopped()
    const release = async (): Promise<void> => {
        await standing.release()
        // Were the record looked for before the branches, this commit, in between, would be taken for none.
        await standing.told()
    }
    return { ...standing, release }
}

/** A running set is forced to roll back. */
export const duringOrder: Scene = async (world, { sidecar }) => {
    const { stopped } = await stoppingAndActing(world, sidecar!)
    const standing = await standAt(world, 'after prepares', 2)
    const order = "select from pglobalxact.force_rollback($1, reason => 'test', confirm => 'yes')"
    const ordered = world.admin(order, [standing.sets[0]]).then(
        () => 'done' as const,
        () => 'failed' as const
    )
    await Promise.race([stopped(), ordered.then(() => Promise.reject(new Error('the order was answered')))])
    return {
        ...standing,
        session: undefined,
        release: standing.release,
        end: async () => {
            await ordered
            await standing.end()
        }
    }
}
