/** What the project set out to reach, and whether it did: by the medians of the rounds. */
import { median } from '../chaos/stats'
import type { Cell } from './cell'
import { cellsOf, ratio, type Measured, type Spread } from './result'

export interface Verdict {
    readonly target: string
    readonly at: string
    readonly variant: string
    readonly measured: string
    /** Undefined: not measured. */
    readonly met: boolean | undefined
}

interface Target {
    readonly target: string
    readonly sessions: readonly number[]
    readonly fsyncMs: number
    readonly variants: readonly string[]
    readonly judge: (point: Measured, variant: string) => { readonly measured: string; readonly met: boolean } | undefined
}

const told = ({ median: middle, least, most }: Spread): string => `${middle.toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`

const throughput =
    (least: number, to: string) =>
    (point: Measured, variant: string): ReturnType<Target['judge']> => {
        const found = ratio(point, variant, ({ rate }) => rate, to)
        return found && { measured: told(found), met: found.median >= least }
    }

const FLOOR = 'hand-rolled'

const TARGETS: readonly Target[] = [
    { target: 'throughput at least 1.1 of the floor', sessions: [8, 32], fsyncMs: 0, variants: ['enlist'], judge: throughput(1.1, FLOOR) },
    {
        target: 'throughput at least 1.0 of the floor',
        sessions: [8, 32],
        fsyncMs: 0,
        variants: ['exec', 'exec-script'],
        judge: throughput(1.0, FLOOR)
    },
    {
        target: 'throughput at least 0.9 of postgres_fdw',
        sessions: [8, 32],
        fsyncMs: 0,
        variants: ['exec', 'exec-script', 'enlist'],
        judge: throughput(0.9, 'postgres_fdw')
    },
    {
        target: 'latency of a whole transfer, p50, at most 0.8 of the floor',
        sessions: [1],
        fsyncMs: 1,
        variants: ['exec', 'exec-script', 'enlist'],
        judge: (point, variant) => {
            const found = ratio(point, variant, ({ whole }) => whole.p50)
            return found && { measured: told(found), met: found.median <= 0.8 }
        }
    },
    {
        target: 'half-committed window: p50 under 2 ms, p99 under 10 ms',
        sessions: [8],
        fsyncMs: 0,
        variants: ['exec', 'enlist'],
        judge: (point, variant) => {
            const middle = (read: (cell: Cell) => number | undefined): number | undefined =>
                median(cellsOf(point, variant).flatMap((cell) => read(cell) ?? []))
            const [p50, p99] = [middle(({ window }) => window?.p50), middle(({ window }) => window?.p99)]
            if (p50 === undefined || p99 === undefined) return undefined
            return { measured: `${p50.toFixed(2)} ms, ${p99.toFixed(2)} ms`, met: p50 < 2 && p99 < 10 }
        }
    }
]

export function verdicts(points: readonly Measured[]): readonly Verdict[] {
    return TARGETS.flatMap(({ target, sessions, fsyncMs, variants, judge }) =>
        variants.flatMap((variant) =>
            sessions.map((count) => {
                const point = points.find((one) => one.sessions === count && one.fsyncMs === fsyncMs && one.branches === 2)
                const found = point && judge(point, variant)
                const at = `${count} session${count === 1 ? '' : 's'}${fsyncMs > 0 ? `, ${fsyncMs} ms added to fsync` : ''}`
                return { target, at, variant, measured: found?.measured ?? 'not measured', met: found?.met }
            })
        )
    )
}
