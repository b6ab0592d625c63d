/** What the parts that are off unless asked for cost while they are on: measured beside the same load with all of them off. */
import { setTimeout as sleep } from 'node:timers/promises'
import { runCell, type Cell } from '../cell'
import { cpuOfGround, type Cpu } from '../cpu'
import { Fleet } from '../fleet'
import type { Ground } from '../ground'
import type { Point } from '../options'
import { FEATURES, PLAIN, useIt, type Feature } from './features'

export interface CostOptions {
    readonly sessions: number
    readonly rounds: number
    readonly seconds: number
    /** Of doing nothing, for what it costs then. */
    readonly idleSeconds: number
    readonly aborts: number
}

export interface Cost {
    readonly feature: string
    readonly cell: Cell
    /** Bytes of WAL on a node, per transfer. */
    readonly wal: number
    /** Percent of one processor while nothing was done. */
    readonly idle: Cpu
    /** Milliseconds; empty for what holds no commits. */
    readonly held: readonly number[]
}

/** `plain`: the same servers without wal_level = logical, which watching needs and which costs something by itself. */
export async function measureCosts(
    ground: Ground,
    plain: Ground,
    options: CostOptions,
    tell: (cost: Cost) => void
): Promise<readonly (readonly Cost[])[]> {
    const fleet = new Fleet(2)
    try {
        const rounds: Cost[][] = []
        for (let round = 0; round < options.rounds; round++) {
            const costs: Cost[] = []
            for (const feature of [PLAIN, ...FEATURES]) {
                const place = feature === PLAIN ? plain : ground
                const cost = await withFeature(place, feature, () => measureOne(place, fleet, feature, options))
                costs.push(cost)
                tell(cost)
            }
            rounds.push(costs)
        }
        return rounds
    } finally {
        await fleet.end()
    }
}

export async function withFeature<T>(ground: Ground, feature: Feature, work: () => Promise<T>): Promise<T> {
    await feature.on?.(ground.control, ground)
    const result = await work()
    await feature.off?.(ground.control, ground)
    return result
}

async function measureOne(ground: Ground, fleet: Fleet, feature: Feature, options: CostOptions): Promise<Cost> {
    const idle = await idling(ground, options.idleSeconds)
    const admin = await ground.coordinator.connect({ database: 'bench', application_name: 'bench feature' })
    try {
        const before = await walOf(ground)
        const using = useIt(feature, admin)
        const point: Point = { sessions: options.sessions, branches: 2, fsyncMs: 0, variants: ['exec'] }
        const cell = await runCell(ground, fleet, point, 'exec', { seconds: options.seconds, warmupSeconds: 0.3 })
        const held = await using.stop()
        const wal = (await walOf(ground)) - before
        return { feature: feature.name, cell, wal: wal / ground.nodes.length / (cell.transfers + cell.warmup), idle, held }
    } finally {
        await admin.end()
    }
}

async function idling(ground: Ground, seconds: number): Promise<Cpu> {
    const before = cpuOfGround(ground)
    await sleep(seconds * 1000)
    const after = cpuOfGround(ground)
    const percent = (party: keyof Cpu): number => (after[party] - before[party]) / seconds / 10_000
    return { coordinator: percent('coordinator'), nodes: percent('nodes'), sidecar: percent('sidecar') }
}

async function walOf({ nodes }: Ground): Promise<number> {
    const positions = nodes.map(async ({ control }) => {
        const { rows } = await control.query<{ at: string }>("select (pg_current_wal_insert_lsn() - '0/0')::text as at")
        return Number(rows[0]!.at)
    })
    return (await Promise.all(positions)).reduce((sum, one) => sum + one, 0)
}

/** Milliseconds from the answer of a COMMIT that failed behind PREPARE until nothing was prepared any more, one after another. */
export async function abortTimes(ground: Ground, count: number): Promise<readonly number[]> {
    const { database, user, password } = ground.places(2).coordinator
    const client = await ground.coordinator.connect({ database, user, password, application_name: 'bench aborts' })
    const times: number[] = []
    try {
        for (let n = 0; n < count; n++) {
            await client.query('begin')
            for (const { name } of ground.nodes.slice(0, 2))
                await client.query("select pglobalxact.exec($1, 'update account set balance = balance + 1 where id = 9999')", [name])
            await client.query('insert into refused default values')
            await client.query('commit').then(
                () => Promise.reject(new Error('a COMMIT went through that was to fail')),
                () => undefined
            )
            const failed = performance.now()
            await ground.settled()
            times.push(performance.now() - failed)
        }
        return times
    } finally {
        await client.end()
    }
}

/** A constraint of the program's own that fails behind ours: all branches are prepared by then. */
export const REFUSED = `
    create table refused (n integer);
    create function refuse() returns trigger language plpgsql as 'begin raise exception ''refused''; end';
    create constraint trigger refuse after insert on refused deferrable initially deferred for each row execute function refuse();
    grant insert on refused to app`
