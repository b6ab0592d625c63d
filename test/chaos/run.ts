/** One chaos run: load, the plan carried out against it, everything healed, and then the judgement. */
import { setTimeout as sleep } from 'node:timers/promises'
import { stateFiles } from '../crash/support/ledger'
import { until, within } from '../support/wait'
import { ChaosClient } from './client'
import type { Hit } from './faults/kind'
import { addNode, resume } from './faults/people'
import { freeSlots } from './faults/servers'
import { Ground } from './ground'
import { kindOf, resourcesOf, type Planned } from './plan'
import { random } from './random'
import { NODES } from './tables'
import { gather } from './evidence'
import { judge, type Violation } from './verify'
import { halfCommitted } from './window'

export interface Options {
    readonly seconds: number
    readonly seed: number
    readonly plan: readonly Planned[]
    /** Milliseconds for everything to come to rest at the end. */
    readonly patience?: number
    /** Says what happens while it happens. */
    readonly tell?: (line: string) => void
}

export interface Done {
    readonly planned: Planned
    readonly result: 'done' | 'nothing to hit' | 'in vain'
    readonly why?: string
}

export interface Result {
    readonly seconds: number
    readonly seed: number
    readonly done: readonly Done[]
    readonly sets: { readonly committed: number; readonly rolledBack: number; readonly notTold: number; readonly notToldCommitted: number }
    readonly byHand: number
    readonly mixed: number
    readonly forced: number
    /** Seconds from the last heal until nothing was open. */
    readonly quiet: number
    /** Milliseconds, of every set that no hand or order touched. */
    readonly windows: readonly number[]
    readonly violations: readonly Violation[]
}

const CLIENTS = 8
const STRIKE_LIMIT = 20_000
const HEAL_LIMIT = 45_000
const QUIET_LIMIT = 60_000

export async function run(options: Options): Promise<Result> {
    const ground = await Ground.create()
    try {
        const clients = Array.from({ length: CLIENTS }, (_, n) => new ChaosClient(ground, `k${n + 1}`, random(options.seed, n + 1)))
        const began = performance.now()
        for (const client of clients) client.start()
        const done = await carryOut(ground, clients, options, began)
        await sleep(Math.max(0, began + options.seconds * 1000 - performance.now()))
        await healAll(ground)
        const healed = performance.now()
        await Promise.all(clients.map((client) => client.stop()))
        const trouble = await settle(ground, options.patience ?? QUIET_LIMIT)
        const quiet = (performance.now() - healed) / 1000
        const statements = clients.flatMap((client) => client.statements)
        const evidence = await gather(ground, statements)
        const violations = [
            ...trouble,
            ...ground.watch.violations(),
            ...ground.badEnds().map((what) => ({ what, sets: [] })),
            ...judge(evidence)
        ]
        if (violations.length > 0) options.tell?.(about(ground, violations))
        const told = (what: string): number => statements.filter((one) => one.told === what).length
        return {
            seconds: options.seconds,
            seed: options.seed,
            done,
            sets: {
                committed: told('committed'),
                rolledBack: told('rolled back'),
                notTold: told('nothing'),
                notToldCommitted: statements.filter(
                    (one) => one.told === 'nothing' && /committed|mixed/.test(evidence.outcomes.get(one.setId ?? '') ?? '')
                ).length
            },
            byHand: ground.byHand.size,
            mixed: [...evidence.outcomes.values()].filter((outcome) => outcome === 'mixed').length,
            forced: ground.forced.size,
            quiet,
            windows: await halfCommitted(ground.world, 1e6),
            violations
        }
    } finally {
        await ground.destroy()
    }
}

/** Each fault waits for those before it on the same resources, and for nobody else. */
async function carryOut(ground: Ground, clients: readonly ChaosClient[], options: Options, began: number): Promise<readonly Done[]> {
    const last = new Map<string, Promise<unknown>>()
    const running = options.plan.map((planned) => {
        const resources = resourcesOf(kindOf(planned.kind), planned.on)
        const before = Promise.all(resources.map((one) => last.get(one)))
        const done = before.then(async () => {
            await sleep(Math.max(0, began + planned.at - performance.now()))
            return fault({ ground, clients, on: planned.on, roll: planned.roll, lasts: planned.lasts }, planned, options)
        })
        for (const one of resources) last.set(one, done)
        return done
    })
    return Promise.all(running)
}

async function fault(hit: Hit, planned: Planned, { tell }: Options): Promise<Done> {
    const kind = kindOf(planned.kind)
    const began = performance.now()
    if (kind.resource === 'link') hit.ground.watch.disturbed(hit.on)
    if (kind.needsDisk && !hit.ground.disk) return { planned, result: 'nothing to hit' }
    let done: Done = { planned, result: 'done' }
    const struck = kind.strike(hit).then(
        (found) => (done = found === false ? { planned, result: 'nothing to hit' } : done),
        (error: unknown) => (done = { planned, result: 'in vain', why: error instanceof Error ? error.message : String(error) })
    )
    if ((await within(struck, STRIKE_LIMIT)) === undefined) done = { planned, result: 'in vain', why: 'no answer' }
    tell?.(
        `${(planned.at / 1000).toFixed(2)} s  ${planned.kind} (${planned.on}): ${done.result}${done.why ? ` (${done.why.split('\n')[0]})` : ''}`
    )
    await sleep(Math.max(0, began + planned.lasts - performance.now()))
    if (kind.heal)
        await insist(`${planned.kind} (${planned.on}) is healed`, () => kind.heal!(hit)).catch(
            (error: unknown) => (done = { ...done, why: error instanceof Error ? error.message : String(error) })
        )
    if (kind.resource === 'link') hit.ground.watch.disturbed(hit.on)
    return done
}

/** Healing may need what another fault has just taken away. */
const insist = (what: string, heal: () => Promise<unknown>): Promise<unknown> =>
    until(what, () => heal().then(() => true), { timeoutMs: HEAL_LIMIT, everyMs: 100 })

async function healAll(ground: Ground): Promise<void> {
    await insist('everything runs', () => ground.heal())
    await Promise.all(NODES.map((on) => insist('the slots are free', () => freeSlots({ ground, on }))))
    await insist('sets may begin', () => resume({ ground }))
    for (const on of NODES) await insist('all nodes are nodes', () => addNode({ ground, on }))
}

/** Waits until nothing is open; what is left after the deadline is a violation. Mixed sets stay until they are acknowledged. */
async function settle(ground: Ground, patience: number): Promise<readonly Violation[]> {
    const { world } = ground
    let left: readonly Violation[] = []
    await until(
        'nothing is left',
        async () => {
            left = await leftovers(ground)
            return left.length === 0
        },
        { timeoutMs: patience, everyMs: 100 }
    ).catch((error: unknown) => {
        if (left.length === 0) left = [{ what: `no look at the end: ${String(error)}`, sets: [] }]
    })
    const mixed = await world.sql<{ set_id: string; outcome: string }>(
        "select set_id, outcome from pglobalxact.sets() where outcome = 'mixed'"
    )
    for (const { set_id } of mixed) await world.admin("select pglobalxact.acknowledge($1, 'chaos')", [set_id])
    const still = await world.sql<{ set_id: string }>('select set_id from pglobalxact.sets()')
    if (left.length === 0 && still.length > 0)
        return [{ what: 'acknowledged, and still on the books', sets: still.map((one) => one.set_id) }]
    return left
}

async function leftovers(ground: Ground): Promise<readonly Violation[]> {
    const { world } = ground
    const found: Violation[] = []
    const add = (what: string, sets: readonly string[]): void => void (sets.length > 0 && found.push({ what, sets }))
    add(
        'still open',
        (await world.sql<{ set_id: string }>("select set_id from pglobalxact.sets() where outcome <> 'mixed'")).map((one) => one.set_id)
    )
    for (const name of NODES) {
        const prepared = await world.node<{ gid: string }>(name, 'select gid from pg_prepared_xacts order by 1')
        add(
            `still prepared on ${name}`,
            prepared.map(({ gid }) => gid)
        )
        const sessions = await world.node<{ who: string }>(
            name,
            `select usename || ' ' || application_name as who from pg_stat_activity where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()`
        )
        // The fence, and as many hands as there may be by default (--connections-per-node).
        const sidecars = sessions.filter(({ who }) => who.startsWith('node_sidecar '))
        add(
            `sessions left on ${name}`,
            sessions.filter((one) => !sidecars.includes(one)).map(({ who }) => who)
        )
        if (sidecars.length > 17)
            add(
                `too many sessions of the sidecar on ${name}`,
                sidecars.map(({ who }) => who)
            )
    }
    const sessions = await world.sql<{ who: string }>(
        "select application_name as who from pg_stat_activity where datname = current_database() and usename = 'app'"
    )
    add(
        'sessions left on the coordinator',
        sessions.map(({ who }) => who)
    )
    add(
        'still in the state files',
        (await world.admin<{ line: string }>('select line from pglobalxact.state_lines() as line')).map(({ line }) => line.split(' ')[0]!)
    )
    add('files left in the state directory', stateFiles(world))
    return found
}

/** What the sidecars said of the sets in trouble. */
function about(ground: Ground, violations: readonly Violation[]): string {
    const logs = ground.sidecars.flatMap((sidecar, n) => sidecar.logs.map((line) => `sidecar ${n + 1}: ${line}`))
    const sets = [...new Set(violations.flatMap((one) => one.sets))].slice(0, 5)
    const lines = sets.flatMap((set) => logs.filter((line) => line.includes(set.replace(/^pgx_[0-9a-f]+_|_\d+$/g, ''))).slice(0, 12))
    return lines.length > 0 ? lines.join('\n') : logs.slice(-20).join('\n')
}
