/** What a sidecar with nothing to do costs: two nodes, everything at its default, the metrics served. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../../support/cluster'
import { AT_DEFAULTS, World } from '../../support/world'
import { figure, target, type Part } from './figures'
import { cpuOfProcess, cpuOfServer, residentOf, startServers } from './servers'

const CALM = 8000 // ms after which what the start needed is over

interface Window {
    /** Processor time in per cent of one. */
    readonly sidecar: number
    readonly coordinator: number
    readonly perNode: number
    readonly megabytes: number
}

interface Statements {
    readonly coordinator: number
    readonly perNode: readonly number[]
}

export async function measureIdle({ rounds, seconds }: { readonly rounds: number; readonly seconds: number }): Promise<Part> {
    const clusters = await startServers(['a', 'b', 'c'])
    const world = await World.create({ name: 'idle', clusters, sidecarArgs: [...AT_DEFAULTS, '--metrics', '127.0.0.1:0'] })
    await world.nodesReached()
    await sleep(CALM)
    const windows: Window[] = []
    const statements: Statements[] = []
    for (let round = 0; round < rounds; round++) {
        windows.push(await watch(world, seconds))
        statements.push(await count(world, seconds))
        console.log(`idle, round ${round + 1}: ${JSON.stringify(windows.at(-1))}, statements a second ${JSON.stringify(statements.at(-1))}`)
    }
    await world.destroy()
    await Promise.all(Object.values(clusters).map((cluster) => cluster.destroy()))
    return {
        item: 'idle',
        title: 'A sidecar with nothing to do',
        how: `Two nodes, everything at its default, the metrics served; ${rounds} rounds of ${seconds} s for the processor time and, the servers logging all statements, ${seconds} s for the count.`,
        figures: [
            target(
                'sidecar, of one processor',
                windows.map((one) => one.sidecar),
                2,
                ' %',
                { atMost: 0.5 }
            ),
            target(
                'sidecar, resident memory',
                windows.map((one) => one.megabytes),
                0,
                ' MB',
                { atMost: 100 }
            ),
            target(
                'statements a second at a node',
                statements.flatMap((one) => one.perNode),
                2,
                '',
                { atMost: 1 }
            ),
            figure(
                'statements a second at the coordinator',
                statements.map((one) => one.coordinator),
                2,
                ''
            ),
            figure(
                "the coordinator's server, of one processor",
                windows.map((one) => one.coordinator),
                2,
                ' %'
            ),
            figure(
                "a node's server, of one processor",
                windows.map((one) => one.perNode),
                2,
                ' %'
            )
        ],
        rounds: { windows, statements },
        at: new Date().toISOString()
    }
}

async function watch(world: World, seconds: number): Promise<Window> {
    const { pid } = world.sidecar!
    const servers = [world.coordinator, ...world.nodes.values()]
    const read = (): readonly number[] => [cpuOfProcess(pid), ...servers.map(cpuOfServer)]
    const before = read()
    const began = performance.now()
    await sleep(seconds * 1000)
    const elapsed = (performance.now() - began) / 1000
    const share = read().map((now, index) => ((now - before[index]!) / elapsed) * 100)
    const nodes = share.slice(2)
    return {
        sidecar: share[0]!,
        coordinator: share[1]!,
        perNode: nodes.reduce((sum, one) => sum + one, 0) / nodes.length,
        megabytes: residentOf(pid) / 1024 ** 2
    }
}

/** Statements of the sidecar's sessions, by the servers' own logs. */
async function count(world: World, seconds: number): Promise<Statements> {
    const servers = [world.coordinator, ...world.nodes.values()]
    for (const server of servers) await server.reload({ log_statement: 'all' })
    const before = servers.map(logged)
    await sleep(seconds * 1000)
    const [coordinator, ...perNode] = servers.map((server, index) => (logged(server) - before[index]!) / seconds)
    for (const server of servers) await server.reload({ log_statement: null })
    return { coordinator: coordinator!, perNode }
}

const STATEMENT = /^\S+ \S+ \S+ \[\d+\] .*(?:sidecar|pgx_).* LOG: {2}(?:statement|execute [^:]*): /

const logged = (server: Cluster): number =>
    server
        .log()
        .split('\n')
        .filter((line) => STATEMENT.test(line)).length
