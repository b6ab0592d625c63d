/** One cell: a variant at a point, once. */
import { cpuOfGround } from './cpu'
import type { Fleet } from './fleet'
import type { Ground, Party } from './ground'
import type { Point } from './options'
import { percentile } from '../chaos/stats'
import type { Counts } from './preload'
import { variantNamed } from './variants'
import { windows } from './window'

export interface Percentiles {
    readonly p50: number
    readonly p95: number
    readonly p99: number
}

export interface Cell {
    readonly variant: string
    readonly transfers: number
    /** Before the clock started. */
    readonly warmup: number
    /** Transfers per second, until every branch of them was committed. */
    readonly rate: number
    /** Transfers per second as the program sees them, until the time was up. */
    readonly answered: number
    /** Milliseconds until every branch was committed, after the last answer. */
    readonly drainMs: number
    /** Milliseconds. */
    readonly commit: Percentiles
    readonly whole: Percentiles
    readonly window: Percentiles | undefined
    /** Microseconds per transfer. */
    readonly cpu: Readonly<Record<Party, number>>
    /** Per transfer; undefined without the preload library. */
    readonly counts: Readonly<Record<string, Counts>> | undefined
}

export interface CellOptions {
    readonly seconds: number
    readonly warmupSeconds: number
}

const TAGS_PER_CLIENT = 1_000_000
let lastTag = 1

function percentiles(values: readonly number[]): Percentiles {
    const at = (share: number): number => percentile(values, share) ?? NaN
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}

const counted = (ground: Ground): ReadonlyMap<string, Counts> =>
    new Map([...ground.controls].map(([name, control]) => [name, control.counts()]))

const sinceThen = (now: Counts, then: Counts, transfers: number): Counts => ({
    syncs: (now.syncs - then.syncs) / transfers,
    received: (now.received - then.received) / transfers
})

export async function runCell(ground: Ground, fleet: Fleet, point: Point, variant: string, options: CellOptions): Promise<Cell> {
    const before = await ground.sums()
    const firstTag = lastTag
    lastTag += fleet.size * TAGS_PER_CLIENT
    const opened = await fleet.all('opened', (client) => ({
        kind: 'open',
        variant,
        places: ground.places(point.branches),
        numbers: Array.from({ length: point.sessions }, (_, n) => n).filter((n) => n % fleet.size === client),
        sessions: point.sessions,
        firstTag: firstTag + client * TAGS_PER_CLIENT,
        warmupSeconds: options.warmupSeconds
    }))
    await ground.settled()

    const cpuBefore = cpuOfGround(ground)
    const counts = counted(ground)
    const began = performance.now()
    const ran = await fleet.all('ran', { kind: 'run', seconds: options.seconds })
    const answeredAt = performance.now()
    await ground.settled()
    const settledAt = performance.now()
    const cpu = cpuOfGround(ground)
    const after = counted(ground)

    await ground.complete()
    const transfers = ran.reduce((sum, one) => sum + one.transfers, 0)
    const widths = await windows(ground, variant, firstTag)
    await fleet.all('closed', { kind: 'close' })
    const warmup = opened.reduce((sum, one) => sum + one.transfers, 0)
    await check(ground, point, variant, before, transfers + warmup)
    await ground.control.query('truncate decision')

    const per = (total: number): number => total / transfers
    return {
        variant,
        transfers,
        warmup,
        rate: (transfers * 1000) / (settledAt - began),
        answered: ran.reduce((sum, one) => sum + one.inTime, 0) / options.seconds,
        drainMs: settledAt - answeredAt,
        commit: percentiles(ran.flatMap(({ commits }) => commits)),
        whole: percentiles(ran.flatMap(({ wholes }) => wholes)),
        window: widths.length > 0 ? percentiles(widths) : undefined,
        cpu: {
            coordinator: per(cpu.coordinator - cpuBefore.coordinator),
            'node servers': per(cpu.nodes - cpuBefore.nodes),
            sidecar: per(cpu.sidecar - cpuBefore.sidecar),
            client: per(ran.reduce((sum, one) => sum + one.cpuUs, 0))
        },
        counts:
            after.size > 0
                ? Object.fromEntries([...after].map(([name, now]) => [name, sinceThen(now, counts.get(name)!, transfers)]))
                : undefined
    }
}

type Sums = Awaited<ReturnType<Ground['sums']>>

/** Every transfer that was answered moved its money on every node, and nothing else did. */
async function check(ground: Ground, { branches }: Point, variant: string, before: Sums, transfers: number): Promise<void> {
    const after = await ground.sums()
    const rows = variantNamed(variant).rows?.(branches) ?? branches
    const wrong = after.nodes.flatMap((sum, n) => {
        const expected = before.nodes[n]! + (n < rows ? transfers : 0)
        return sum === expected ? [] : [`node ${n + 1} holds ${sum}, not ${expected}`]
    })
    const local = before.coordinator + (rows === 0 ? transfers : 0)
    if (after.coordinator !== local) wrong.push(`the coordinator holds ${after.coordinator}, not ${local}`)
    if (wrong.length > 0) throw new Error(`${variant} with ${transfers} transfers: ${wrong.join('; ')}`)
}
