/** Ten, fifty, a hundred nodes, as databases of three servers: what each costs while nothing happens. */
import { setTimeout as sleep } from 'node:timers/promises'
import { slope } from '../../chaos/stats'
import type { Cluster } from '../../support/cluster'
import { until } from '../../support/wait'
import { AT_DEFAULTS, World } from '../../support/world'
import { figure, spread, target, type Figure, type Part } from './figures'
import { cpuOfProcess, cpuOfServer, residentOf, startServers } from './servers'

const CALM = 5000 // ms

interface Sample {
    readonly nodes: number
    /** Milliseconds of processor time per second. */
    readonly sidecar: number
    readonly coordinator: number
    readonly servers: number
    readonly megabytes: number
    /** Sessions of the sidecar at each node, at most and on average. */
    readonly most: number
    readonly sessions: number
    /** Of all scans, the share that began in the fullest tenth of a second. */
    readonly fullest: number
    /** Milliseconds that nodes() took. */
    readonly reading: number
}

export async function measureNodes({ steps, seconds }: { readonly steps: readonly number[]; readonly seconds: number }): Promise<Part> {
    const clusters = await startServers(['a', 'b', 'c', 'd'])
    const world = await World.create({ name: 'nodes', nodes: ['b', 'c', 'd'], clusters, sidecarArgs: AT_DEFAULTS })
    const samples: Sample[] = []
    for (const nodes of steps) {
        await growTo(world, nodes)
        await sleep(CALM)
        samples.push(await take(world, nodes, seconds))
        console.log(JSON.stringify(samples.at(-1)))
    }
    await world.sidecar!.stop()
    await world.destroy()
    await Promise.all(Object.values(clusters).map((cluster) => cluster.destroy()))
    return {
        item: 'nodes',
        title: `${steps.join(', ')} nodes`,
        how: `Databases on three servers, everything at its default, no sets; ${seconds} s each. "Per node" is the slope of the straight line through the three.`,
        figures: [...samples.flatMap(figuresOf), ...growth(samples)],
        rounds: samples,
        at: new Date().toISOString()
    }
}

function figuresOf(one: Sample): Figure[] {
    const { nodes } = one
    return [
        figure(`${nodes} nodes: sidecar, processor time per second`, [one.sidecar], 1, ' ms'),
        figure(`${nodes} nodes: all their servers, processor time per second`, [one.servers], 1, ' ms'),
        figure(`${nodes} nodes: the coordinator's server, processor time per second`, [one.coordinator], 1, ' ms'),
        figure(`${nodes} nodes: sidecar, resident memory`, [one.megabytes], 0, ' MB'),
        target(`${nodes} nodes: sessions held at a node while nothing happens`, [one.most], 0, '', { atMost: 1 }),
        // Evenly it would be a tenth of them; two or three more by chance, when they are few.
        target(`${nodes} nodes: scans in the fullest tenth of a second, of all`, [one.fullest], 2, '', { atMost: 0.1 + 2.5 / nodes }),
        target(`${nodes} nodes: nodes()`, [one.reading], 1, ' ms', { atMost: 50 })
    ]
}

function growth(samples: readonly Sample[]): Figure[] {
    const per = (value: (one: Sample) => number): number => slope(samples.map((one) => [one.nodes, value(one)] as const))
    return [
        { what: 'per node: sidecar, processor time per second', measured: spread([per((one) => one.sidecar)], 3, ' ms') },
        { what: 'per node: its server, processor time per second', measured: spread([per((one) => one.servers)], 3, ' ms') },
        {
            what: "per node: the coordinator's server, processor time per second",
            measured: spread([per((one) => one.coordinator)], 3, ' ms')
        },
        { what: 'per node: sidecar, resident memory', measured: spread([per((one) => one.megabytes * 1024)], 0, ' kB') }
    ]
}

async function growTo(world: World, nodes: number): Promise<void> {
    const servers = [...world.nodes.values()]
    const [known] = await world.sql<{ count: number }>('select count(*)::int as count from pglobalxact.node')
    for (let number = known!.count + 1; number <= nodes; number++) {
        const cluster = servers[number % servers.length]!
        const database = `${world.database}_${number}`
        await cluster.createDatabase(database)
        await world.createServer(`n${number}`, cluster, database)
        await world.admin(`select * from pglobalxact.add_node('n${number}')`)
    }
    const held = "select count(*)::int as count from pglobalxact.node_status where reachable and fence = 'held'"
    await until('every node is reached', async () => (await world.sql<{ count: number }>(held))[0]!.count === nodes, { timeoutMs: 60_000 })
}

async function take(world: World, nodes: number, seconds: number): Promise<Sample> {
    const { pid } = world.sidecar!
    const servers = [...world.nodes.values()]
    const read = (): readonly number[] => [
        cpuOfProcess(pid),
        cpuOfServer(world.coordinator),
        servers.reduce((sum, one) => sum + cpuOfServer(one), 0)
    ]
    const before = read()
    const began = performance.now()
    await sleep(seconds * 1000)
    const elapsed = (performance.now() - began) / 1000
    const [sidecar, coordinator, all] = read().map((now, index) => ((now - before[index]!) / elapsed) * 1000)
    const sessions = await sessionsOf(world, servers)
    return {
        nodes,
        sidecar: sidecar!,
        coordinator: coordinator!,
        servers: all!,
        megabytes: residentOf(pid) / 1024 ** 2,
        ...sessions,
        reading: await timeOfNodes(world)
    }
}

async function sessionsOf(world: World, servers: readonly Cluster[]): Promise<Pick<Sample, 'most' | 'sessions' | 'fullest'>> {
    const rows = (
        await Promise.all(
            servers.map(async (server) =>
                server.query<{ database: string; at: number }>(
                    `select datname || current_setting('port') as database, (extract(epoch from query_start) * 1000)::float8 as at from pg_stat_activity
                     where datname like '${world.database}%' and application_name like 'pgx\\_%\\_sidecar\\_%'`
                )
            )
        )
    ).flat()
    // b, c and d are databases of one name on three servers.
    const counts = countBy(rows.map(({ database }) => database))
    const tenths = countBy(rows.map(({ at }) => String(Math.floor((at % 1000) / 100))))
    return { most: Math.max(...counts), sessions: rows.length / Math.max(counts.length, 1), fullest: Math.max(...tenths) / rows.length }
}

function countBy(keys: readonly string[]): readonly number[] {
    const counts = new Map<string, number>()
    for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
    return [...counts.values()]
}

async function timeOfNodes(world: World): Promise<number> {
    const client = await world.connect('watcher')
    const once = async (): Promise<number> => {
        const began = performance.now()
        await client.query('select * from pglobalxact.nodes()')
        return performance.now() - began
    }
    await once()
    const times = [await once(), await once(), await once()].sort((a, b) => a - b)
    return times[1]!
}
