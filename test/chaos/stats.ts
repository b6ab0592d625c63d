/** The little arithmetic that the reports need. */

/** Undefined of nothing. The nearest rank: a value that was really measured. */
export function percentile(values: readonly number[], share: number): number | undefined {
    const sorted = [...values].sort((a, b) => a - b)
    return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}

export const median = (values: readonly number[]): number | undefined => percentile(values, 0.5)

export const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / Math.max(values.length, 1)

/** Slope of the straight line through these points by least squares: what y gains per x. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
    const x = mean(points.map(([one]) => one))
    const y = mean(points.map(([, one]) => one))
    const above = points.reduce((sum, [px, py]) => sum + (px - x) * (py - y), 0)
    const below = points.reduce((sum, [px]) => sum + (px - x) ** 2, 0)
    return below === 0 ? 0 : above / below
}

/** Values by the quarter of the run they fall into. */
export function quarters<T extends { readonly at: number }>(samples: readonly T[]): readonly (readonly T[])[] {
    const end = (samples.at(-1)?.at ?? 0) + 1e-9
    return [0, 1, 2, 3].map((n) => samples.filter(({ at }) => Math.floor((at / end) * 4) === n))
}
