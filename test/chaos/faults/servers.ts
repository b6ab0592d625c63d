/** Servers and the sidecar die, hang, run out of room, and lose what they knew. */
import { signal } from '../../support/proctree'
import { until, within } from '../../support/wait'
import { NODES } from '../tables'
import type { Hit, Kind } from './kind'

const SERVERS = ['a', ...NODES]

const start = async ({ ground, on }: Hit): Promise<void> => {
    const cluster = ground.cluster(on)
    if (cluster.pid === undefined) await cluster.start()
}

const restartSidecar = ({ ground }: Hit): Promise<void> => {
    ground.sidecarWanted = true
    return until('a sidecar runs', () => ground.sidecar.running).then(() => undefined)
}

const FILLER = 'chaos_filler_'

/** Another transaction manager's, so to speak: they must all still be there when they are taken away. */
async function exhaustSlots({ ground, on }: Hit): Promise<boolean> {
    const client = await ground.cluster(on).connect({ database: ground.world.database })
    try {
        for (let n = 0; n < 60; n++) {
            await client.query('begin')
            await client.query('select pg_current_xact_id()')
            await client.query(`prepare transaction '${FILLER}${n}'`)
        }
    } catch (error) {
        return (error as { code?: string }).code === '53200'
    } finally {
        await client.end().catch(() => undefined)
    }
    return false
}

export async function freeSlots({ ground, on }: Pick<Hit, 'ground' | 'on'>): Promise<void> {
    const rows = await ground.world.node<{ gid: string }>(on, `select gid from pg_prepared_xacts where gid like '${FILLER}%'`)
    for (const { gid } of rows) await ground.world.node(on, `rollback prepared '${gid}'`)
}

/** Fires when the bytes pass, if that happens while the fault lasts: a server that dies in the very instant of an order. */
async function onMessage({ ground, lasts, roll }: Hit, link: string, pattern: string, act: () => Promise<unknown>): Promise<boolean> {
    let armed = true
    let acting: Promise<unknown> | undefined
    const fired = ground.links.get(link)!.onClientData(pattern, roll % 2 === 0 ? 'before' : 'after', () => {
        if (armed) acting = act()
    })
    const hit = await within(
        fired.then(() => true),
        lasts
    )
    armed = false
    await acting
    return hit === true
}

/** SIGKILL to one backend: PostgreSQL ends all sessions and goes through crash recovery by itself. */
async function killBackend({ ground, on, roll }: Hit): Promise<boolean> {
    const pids = await ground
        .cluster(on)
        .query<{ pid: number }>(
            "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() order by pid"
        )
    return pids.length > 0 && signal(pids[roll % pids.length]!.pid, 'SIGKILL')
}

/** A branch whose set is committed, and that is still prepared: only to be had while no sidecar is there to finish it. */
async function decidedBranch({ ground }: Hit): Promise<{ node: string; gid: string } | undefined> {
    const decided = await ground.world.sql<{ node: string; gid: string }>(
        `select n.name as node, 'pgx_' || c.id || '_' || r.xid || '_' || r.nonce || '_' || b.node as gid
         from pglobalxact.coordinator c cross join pglobalxact.commit_record r join pglobalxact.branch_record b using (xid, nonce)
         join pglobalxact.node n on n.number = b.node
         where r.complete_at is null and b.fate is null and not b.plain`
    )
    for (const { node, gid } of decided)
        if ((await ground.world.node(node, 'select from pg_prepared_xacts where gid = $1', [gid])).length > 0) return { node, gid }
    return undefined
}

/** Someone types COMMIT PREPARED, or ROLLBACK PREPARED against the decision: the one is found to be right, the other reported. */
const byHand = (order: 'commit' | 'rollback') => async (hit: Hit) => {
    const { ground } = hit
    await ground.killSidecar()
    const found = await until('a decided branch waits', () => decidedBranch(hit), { timeoutMs: hit.lasts }).catch(() => undefined)
    if (found === undefined) return false
    // Written down first: whether it was carried out may not be heard any more.
    ground.byHand.add(found.gid)
    await ground.world.node(found.node, `${order} prepared '${found.gid}'`)
    return true
}

export const SERVER_KINDS: readonly Kind[] = [
    {
        name: 'server killed',
        on: SERVERS,
        lasts: [100, 4000],
        crash: true,
        strike: ({ ground, on }) => ground.cluster(on).kill(),
        heal: start
    },
    {
        name: 'server stopped immediately',
        on: SERVERS,
        lasts: [100, 3000],
        crash: true,
        strike: ({ ground, on }) => ground.cluster(on).stop('immediate'),
        heal: start
    },
    {
        name: 'server restarted',
        on: SERVERS,
        lasts: [0, 500],
        crash: true,
        strike: ({ ground, on }) => ground.cluster(on).stop('fast'),
        heal: start
    },
    {
        name: 'server hangs',
        on: SERVERS,
        lasts: [200, 4000],
        crash: true,
        strike: async ({ ground, on }) => ground.cluster(on).pause(),
        heal: async ({ ground, on }) => ground.cluster(on).resume()
    },
    { name: 'backend killed', on: SERVERS, lasts: [1000, 1000], crash: true, strike: killBackend },
    {
        name: 'node killed as COMMIT PREPARED arrives',
        on: NODES,
        lasts: [1000, 2500],
        crash: true,
        strike: (hit) => onMessage(hit, hit.on, 'COMMIT PREPARED', () => hit.ground.cluster(hit.on).kill()),
        heal: start
    },
    {
        name: 'coordinator killed as PREPARE arrives',
        on: NODES,
        resource: 'a',
        lasts: [1000, 2500],
        crash: true,
        strike: (hit) => onMessage(hit, hit.on, 'prepare transaction', () => hit.ground.cluster('a').kill()),
        heal: (hit) => start({ ...hit, on: 'a' })
    },
    { name: 'prepared slots exhausted', on: NODES, lasts: [500, 3000], strike: exhaustSlots, heal: freeSlots },
    {
        name: 'sidecar killed',
        on: ['sidecar'],
        lasts: [100, 3000],
        weight: 2,
        crash: true,
        strike: ({ ground }) => ground.killSidecar(),
        heal: restartSidecar
    },
    {
        name: 'sidecar killed as COMMIT PREPARED leaves',
        on: NODES,
        resource: 'sidecar',
        lasts: [500, 2000],
        crash: true,
        strike: (hit) => onMessage(hit, hit.on, 'COMMIT PREPARED', () => hit.ground.killSidecar()),
        heal: restartSidecar
    },
    {
        name: 'sidecar stopped',
        on: ['sidecar'],
        lasts: [100, 1500],
        strike: async ({ ground }) => {
            ground.sidecarWanted = false
            await ground.sidecar.stop()
        },
        heal: restartSidecar
    },
    {
        name: 'sidecar hangs',
        on: ['sidecar'],
        lasts: [200, 4000],
        crash: true,
        strike: async ({ ground }) => ground.sidecar.pause(),
        heal: async ({ ground }) => ground.sidecar.resume()
    },
    {
        name: 'host lost: coordinator and sidecar killed',
        on: ['a'],
        also: 'sidecar',
        lasts: [200, 2000],
        crash: true,
        strike: async ({ ground }) => void (await Promise.all([ground.cluster('a').kill(), ground.killSidecar()])),
        heal: async (hit) => {
            await start(hit)
            await restartSidecar(hit)
        }
    },
    {
        name: 'state directory lost',
        on: ['sidecar'],
        lasts: [100, 1500],
        crash: true,
        strike: async ({ ground, roll }) => {
            await ground.killSidecar()
            ground.loseState(roll % 2 === 0)
        },
        heal: async (hit) => {
            if (hit.roll % 2 === 0) await hit.ground.newHome()
            await restartSidecar(hit)
        }
    },
    {
        name: 'state directory full',
        on: ['disk'],
        lasts: [300, 3000],
        needsDisk: true,
        strike: async ({ ground }) => ground.disk!.fill(),
        heal: async ({ ground }) => ground.disk!.free()
    },
    { name: 'branch committed by hand', on: ['sidecar'], lasts: [3000, 3000], strike: byHand('commit'), heal: restartSidecar },
    { name: 'branch rolled back by hand', on: ['sidecar'], lasts: [3000, 3000], strike: byHand('rollback'), heal: restartSidecar }
]
