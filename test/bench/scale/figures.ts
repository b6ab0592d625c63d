/** What an item measures: a figure with its target, and what stands beside it. */
import { median } from '../../chaos/stats'

export interface Figure {
    readonly what: string
    /** The measured value in words, with its spread. */
    readonly measured: string
    /** In words; undefined for a figure that only informs. */
    readonly target?: string
    readonly met?: boolean
}

export interface Part {
    readonly item: string
    readonly title: string
    /** What was done, in a sentence or two. */
    readonly how: string
    readonly figures: readonly Figure[]
    /** Every value of every round, for the JSON. */
    readonly rounds: unknown
    readonly at: string
}

export const middle = (values: readonly number[]): number => median(values) ?? NaN

/** "12.3 (11.9 to 14.0)": the median, and the least and greatest of all rounds. */
export function spread(values: readonly number[], digits = 0, unit = ''): string {
    const show = (value: number): string => value.toFixed(digits)
    if (values.length === 0) return 'not measured'
    const range = values.length > 1 ? ` (${show(Math.min(...values))} to ${show(Math.max(...values))})` : ''
    return `${show(middle(values))}${unit}${range}`
}

export const figure = (what: string, values: readonly number[], digits: number, unit: string): Figure => ({
    what,
    measured: spread(values, digits, unit)
})

/** A figure that must be at most (or, negated, at least) so much: by its median. */
export function target(
    what: string,
    values: readonly number[],
    digits: number,
    unit: string,
    limit: { readonly atMost: number } | { readonly atLeast: number }
): Figure {
    const most = 'atMost' in limit
    const bound = most ? limit.atMost : limit.atLeast
    return {
        ...figure(what, values, digits, unit),
        target: `${most ? 'at most' : 'at least'} ${bound}${unit}`,
        met: most ? middle(values) <= bound : middle(values) >= bound
    }
}
