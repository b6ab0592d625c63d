/** A million commit records kept for the retention time: what they slow down, and how they go. */
import type { Client } from 'pg'
import { AT_DEFAULTS, World } from '../../support/world'
import { figure, target, type Figure, type Part } from './figures'
import { startServers } from './servers'

const SESSIONS = 4
const LONGEST = 30_000 // ms of the purge that are watched
const OLDER = 1_000_000_000 // the xids of the records lie below those of the sets that run, as they do in life

interface Options {
    readonly records: number
    readonly rounds: number
    readonly seconds: number
}

export async function measureRetained({ records, rounds, seconds }: Options): Promise<Part> {
    const clusters = await startServers(['a', 'b', 'c'])
    const create = (name: string): Promise<World> => World.create({ name, clusters, sidecarArgs: AT_DEFAULTS })
    const [empty, full] = [await create('empty'), await create('full')]
    await fill(full, records)
    const sides = { empty: await sessionsOf(empty), full: await sessionsOf(full) }
    const rates = { empty: [] as number[], full: [] as number[] }
    for (let round = 0; round <= rounds; round++) {
        for (const side of ['empty', 'full'] as const) {
            const rate = await load(sides[side], seconds)
            if (round > 0) rates[side].push(rate)
        }
        console.log(`retained, round ${round}: ${JSON.stringify(rates)}`)
    }
    const ratios = rates.full.map((rate, index) => rate / rates.empty[index]!)
    const plans = await plansOf(full)
    const purge = await purgeAll(full, sides.full)
    for (const world of [empty, full]) {
        await world.sidecar!.stop()
        await world.destroy()
    }
    await Promise.all(Object.values(clusters).map((cluster) => cluster.destroy()))
    return {
        item: 'retained',
        title: `${records} commit records retained`,
        how: `Sets of two branches by exec on ${SESSIONS} sessions, ${seconds} s each, in a database without records and in one with, in turn; then the retention time is set to a second.`,
        figures: [
            figure('sets a second, no records', rates.empty, 0, ''),
            figure('sets a second, with the records', rates.full, 0, ''),
            target('the same as a ratio, round by round', ratios, 2, '', { atLeast: 0.95 }),
            ...plans,
            ...purge
        ],
        rounds: { rates },
        at: new Date().toISOString()
    }
}

async function fill(world: World, records: number): Promise<void> {
    const client = await world.coordinator.connect({ database: world.database })
    try {
        await client.query('set session_replication_role = replica; set synchronous_commit = off')
        await client.query(
            `insert into pglobalxact.commit_record (xid, nonce, role, application_name, complete_at, outcome)
             select i::text::xid8, 'cafe0123', 'app', 'bench', clock_timestamp(), 'committed' from generate_series($1 - $2::bigint, $1 - 1) i`,
            [OLDER, records]
        )
        await client.query(
            `insert into pglobalxact.branch_record (xid, nonce, node, kind, branch_xid, timeline, owner)
             select r.xid, r.nonce, n.number, 'exec', r.xid, '00000001', 'node_app' from pglobalxact.commit_record r, pglobalxact.node n`
        )
        await client.query('vacuum analyze')
    } finally {
        await client.end()
    }
}

async function sessionsOf(world: World): Promise<readonly Client[]> {
    for (const name of world.nodes.keys()) await world.node(name, 'create table line (session int, n int); grant all on line to node_app')
    return Promise.all(Array.from({ length: SESSIONS }, () => world.connect()))
}

/** Sets a second. */
async function load(sessions: readonly Client[], seconds: number): Promise<number> {
    const began = performance.now()
    let sets = 0
    await Promise.all(
        sessions.map(async (client, session) => {
            while (performance.now() - began < seconds * 1000) {
                const insert = `insert into line values (${session}, ${sets})`
                await client.query(`begin; select pglobalxact.exec('b', '${insert}'); select pglobalxact.exec('c', '${insert}'); commit`)
                sets += 1
            }
        })
    )
    return sets / ((performance.now() - began) / 1000)
}

/** The statements of outcome() and of the sidecar's look: by index, whatever their number. */
async function plansOf(world: World): Promise<readonly Figure[]> {
    const plan = async (text: string): Promise<string> =>
        (await world.sql<{ 'QUERY PLAN': string }>(`explain (costs off) ${text}`)).map((row) => row['QUERY PLAN']).join(' ')
    const indexed = (what: string, found: string, index: string): Figure => ({
        what,
        measured: found.includes(index) ? `by index ${index}` : found,
        target: 'by index',
        met: found.includes(index)
    })
    return [
        indexed(
            'outcome(set)',
            await plan("select * from pglobalxact.commit_record r where r.xid = '999999' and r.nonce = 'cafe0123'"),
            'commit_record_pk'
        ),
        indexed(
            "the sidecar's look",
            await plan("select * from pglobalxact.commit_record r where r.complete_at is null and r.xid >= '999999'"),
            'commit_record_open'
        )
    ]
}

/** Everything kept is too old at once, while sets go on. */
async function purgeAll(world: World, sessions: readonly Client[]): Promise<readonly Figure[]> {
    const count = async (): Promise<number> =>
        (
            await world.sql<{ n: number }>(
                `select count(*)::int as n from pglobalxact.commit_record where xid < '${OLDER}' and nonce = 'cafe0123'`
            )
        )[0]!.n
    const rate = await load(sessions, 2)
    const before = await count()
    await world.sql("update pglobalxact.coordinator set retention = '1 second'")
    // It looks for old records when it starts, then once a minute, and goes on until there are none.
    await world.sidecar!.stop()
    await world.startSidecar()
    const began = performance.now()
    const during: number[] = []
    const ages: number[] = []
    let left = before
    while (left > 0 && performance.now() - began < LONGEST) {
        during.push(await load(sessions, 2))
        const [beat] = await world.sql<{ age: number }>(
            'select extract(epoch from clock_timestamp() - seen_at)::float8 as age from pglobalxact.sidecar'
        )
        ages.push(beat!.age)
        left = await count()
    }
    const elapsed = (performance.now() - began) / 1000
    return [
        figure('purge beside the load: records a second', [(before - left) / elapsed], 0, ''),
        target(
            'sets a second meanwhile, of those before',
            during.map((one) => one / rate),
            2,
            '',
            { atLeast: 0.7 }
        ),
        target('the sidecar was last heard of meanwhile, at most', [Math.max(...ages)], 1, ' s', { atMost: 10 })
    ]
}
