/** Recovery at scale: thousands of sets in doubt, a sidecar started cold, and the bare loop beside it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import type { SetKey } from '../../../sidecar/protocol'
import type { BranchFacts } from '../../../sidecar/statelines'
import { AT_DEFAULTS, World } from '../../support/world'
import { bareLoop } from './bare'
import { figure, middle, target, type Figure, type Part } from './figures'
import { makeBare, makeInDoubt, prepareTables } from './indoubt'
import { cpuOfProcess, cpuOfServer, startServers } from './servers'
import { clearState, writeState } from './statefiles'

const LOOK = 100 // ms between looks whether all is settled: each costs the node some milliseconds. The bare loop knows by itself

interface Settled {
    /** Milliseconds from the start until the first set, and until all are settled. */
    readonly first: number
    readonly all: number
    /** Microseconds of processor time per branch. The bench itself is the bare loop. */
    readonly cpu: Readonly<Record<'coordinator' | 'nodes' | 'sidecar' | 'bench', number>>
}

type Shape = 'empty' | 'state'

export interface RecoveryOptions {
    readonly sets: number
    readonly rounds: number
}

export async function measureRecovery({ sets, rounds }: RecoveryOptions): Promise<Part> {
    const more = { max_prepared_transactions: sets + 1000 }
    const clusters = await startServers(['a', 'b', 'c'], { b: more, c: more })
    const world = await World.create({ name: 'recovery', clusters, sidecarArgs: AT_DEFAULTS })
    await world.sidecar!.stop()
    await prepareTables(world)
    const taken: { bare: Settled[]; empty: Settled[]; state: Settled[] } = { bare: [], empty: [], state: [] }
    for (let round = 0; round < rounds; round++) {
        taken.bare.push(await runBare(world, sets))
        for (const shape of ['empty', 'state'] as const) taken[shape].push(await runSidecar(world, sets, shape))
        console.log(
            Object.entries(taken)
                .map(([name, all]) => `${name}: ${JSON.stringify(all.at(-1)!.cpu)}`)
                .join('\n')
        )
        const said = Object.entries(taken).map(
            ([name, all]) => `${name} ${all.at(-1)!.all.toFixed(0)} ms (first ${all.at(-1)!.first.toFixed(0)})`
        )
        console.log(`recovery, round ${round + 1}: ${said.join(', ')}`)
    }
    await world.destroy()
    await Promise.all(Object.values(clusters).map((cluster) => cluster.destroy()))
    const branches = 2 * sets
    const rates = (all: readonly Settled[]): number[] => all.map((one) => branches / (one.all / 1000))
    const ratios = (all: readonly Settled[]): number[] => all.map((one, index) => taken.bare[index]!.all / one.all)
    return {
        item: 'recovery',
        title: `Recovery of ${sets} sets in doubt over two nodes`,
        how:
            `Half of the sets have their commit record and half have none; ${branches} branches in all. The time runs from the start of the process until no branch is prepared. ` +
            'Bare loop: one program that sends the same orders, 32 in flight on each of 4 open connections per node, until the last answer; the sidecar is done when a look each 100 ms finds nothing prepared.',
        figures: [
            figure('bare loop, branches per second', rates(taken.bare), 0, ''),
            figure('sidecar, no state files: branches per second', rates(taken.empty), 0, ''),
            target('the same against the bare loop, round by round', ratios(taken.empty), 2, '', { atLeast: 0.7 }),
            figure('sidecar, state files hold the committed half: branches per second', rates(taken.state), 0, ''),
            target('the same against the bare loop, round by round', ratios(taken.state), 2, '', { atLeast: 0.7 }),
            target(
                'first set settled, no state files',
                taken.empty.map((one) => one.first),
                0,
                ' ms',
                { atMost: 200 }
            ),
            target(
                'first set settled, with state files',
                taken.state.map((one) => one.first),
                0,
                ' ms',
                { atMost: 200 }
            ),
            processorTime('bare loop: processor time per branch, of the nodes, and of the program', taken.bare, ['nodes', 'bench']),
            processorTime('sidecar, no state files: the same, of the nodes, the sidecar, the coordinator', taken.empty, [
                'nodes',
                'sidecar',
                'coordinator'
            ]),
            figure(
                'all settled, no state files',
                taken.empty.map((one) => one.all),
                0,
                ' ms'
            ),
            figure(
                'all settled, with state files',
                taken.state.map((one) => one.all),
                0,
                ' ms'
            )
        ],
        rounds: taken,
        at: new Date().toISOString()
    }
}

const processorTime = (what: string, all: readonly Settled[], parts: readonly (keyof Settled['cpu'])[]): Figure => ({
    what,
    measured: `${parts.map((part) => middle(all.map(({ cpu }) => cpu[part])).toFixed(0)).join(' + ')} µs`
})

/** Rows of the rounds before would tell of their own first commit. */
const sweep = async (world: World): Promise<void> => {
    for (const name of world.nodes.keys()) await world.node(name, 'truncate moved')
    for (const cluster of [world.coordinator, ...world.nodes.values()]) await cluster.query('checkpoint')
}

async function runBare(world: World, sets: number): Promise<Settled> {
    await sweep(world)
    const branches = await makeBare(world, sets)
    return untilSettled(world, sets, await bareLoop(world, branches), false)
}

async function runSidecar(world: World, sets: number, shape: Shape): Promise<Settled> {
    await sweep(world)
    clearState(world.stateDir)
    await makeInDoubt(world, sets)
    if (shape === 'state') await fillState(world)
    const settled = await untilSettled(world, sets, () => world.launchSidecar())
    await world.settled()
    await world.sidecar!.stop()
    await check(world, sets)
    return settled
}

/** The committed half, as a sidecar leaves it that died between its state lines and the first COMMIT PREPARED. */
async function fillState(world: World): Promise<void> {
    const [row] = await world.sql<{ id: string }>('select id from pglobalxact.coordinator')
    const branches = await world.sql<Omit<BranchFacts, 'uri'> & { set: string; nonce: string } & Record<string, unknown>>(
        `select b.xid::text as set, b.nonce, b.node, b.branch_xid::text as xid, b.timeline, b.owner::text,
                'pgx_${row!.id}_' || b.xid || '_' || b.nonce || '_' || b.node as gid
         from pglobalxact.commit_record r join pglobalxact.branch_record b using (xid, nonce)
         where r.complete_at is null order by b.xid, b.node`
    )
    const sets = new Map<string, { set: SetKey; branches: BranchFacts[] }>()
    for (const { set: xid, nonce, ...facts } of branches) {
        const set = sets.get(xid) ?? { set: { xid, nonce }, branches: [] }
        set.branches.push({ ...facts, uri: 'postgresql://node_sidecar@127.0.0.1/bank' })
        sets.set(xid, set)
    }
    writeState(world.stateDir, row!.id, [...sets.values()])
}

async function check(world: World, sets: number): Promise<void> {
    for (const name of world.nodes.keys()) {
        const [row] = await world.node<{ count: number; odd: boolean }>(
            name,
            'select count(*)::int as count, bool_and(set % 2 = 1) as odd from moved'
        )
        if (row!.count !== Math.floor(sets / 2) || !row!.odd)
            throw new Error(`${name} has ${row!.count} of ${sets / 2} sets, all of them to commit: ${row!.odd}`)
    }
}

/** From the start of `settler`. The nodes' own commit times tell of the first set. */
async function untilSettled(world: World, sets: number, settler: () => unknown, looking = true): Promise<Settled> {
    const clients = await Promise.all([...world.nodes.values()].map((cluster) => cluster.connect({ database: world.database })))
    const used = [world.coordinator, ...world.nodes.values()].map(cpuOfServer)
    const bench = process.cpuUsage()
    const began = performance.now()
    const wallClock = Date.now()
    await settler()
    if (looking) await Promise.all(clients.map((client) => untilNoneIsPrepared(client)))
    const all = performance.now() - began
    const [coordinator, ...nodes] = [world.coordinator, ...world.nodes.values()].map(
        (cluster, index) => cpuOfServer(cluster) - used[index]!
    )
    const own = world.sidecar?.running === true ? cpuOfProcess(world.sidecar.pid) : 0
    const each = (seconds: number): number => (seconds * 1e6) / (2 * sets)
    const { user, system } = process.cpuUsage(bench)
    const cpu = {
        coordinator: each(coordinator!),
        nodes: each(nodes.reduce((sum, one) => sum + one, 0)),
        sidecar: each(own),
        bench: each((user + system) / 1e6)
    }
    const firsts = await firstSet(world)
    await Promise.all(clients.map((client) => client.end()))
    return { first: firsts - wallClock, all, cpu }
}

async function untilNoneIsPrepared(client: Client): Promise<void> {
    for (;;) {
        const { rows } = await client.query<{ count: number }>('select count(*)::int as count from pg_prepared_xacts')
        if (rows[0]!.count === 0) return
        await sleep(LOOK)
    }
}

/** When the first set was committed on all its nodes, in milliseconds of the clock that all servers here share. */
async function firstSet(world: World): Promise<number> {
    const done = new Map<number, number[]>()
    for (const name of world.nodes.keys()) {
        const rows = await world.node<{ set: number; at: number }>(
            name,
            'select set, extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as at from moved'
        )
        for (const { set, at } of rows) done.set(set, [...(done.get(set) ?? []), at])
    }
    return Math.min(...[...done.values()].filter((times) => times.length === world.nodes.size).map((times) => Math.max(...times)))
}
