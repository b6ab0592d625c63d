/** What was measured, as it stands in bench.json; and the ratios that everything is told by. */
import { median } from '../chaos/stats'
import type { Cell } from './cell'
import type { Point } from './options'
import { FLOOR } from './variants/variant'

export interface Machine {
    readonly cores: number
    readonly cpu: string
    readonly memoryGb: number
    readonly kernel: string
    readonly postgres: string
    readonly node: string
    /** Median time of one fdatasync behind a write of 8 KB, in milliseconds. */
    readonly fsyncMs: number
}

export interface Measured extends Point {
    readonly at: string
    readonly machine: Machine
    readonly rounds: number
    readonly seconds: number
    readonly command: string
    /** By round. */
    readonly cells: readonly (readonly Cell[])[]
}

export interface Spread {
    readonly median: number
    readonly least: number
    readonly most: number
}

export const spread = (values: readonly number[]): Spread => ({
    median: median(values) ?? NaN,
    least: Math.min(...values),
    most: Math.max(...values)
})

export const samePoint = (a: Point, b: Point): boolean => a.sessions === b.sessions && a.branches === b.branches && a.fsyncMs === b.fsyncMs

export const cellsOf = ({ cells }: Measured, variant: string): readonly Cell[] =>
    cells.flatMap((round) => round.filter((cell) => cell.variant === variant))

/** Of a value, per variant, over the rounds. */
export const valuesOf = (point: Measured, variant: string, read: (cell: Cell) => number): Spread =>
    spread(cellsOf(point, variant).map(read))

/** Round by round, so that a machine that gets slower in between slows both. */
export function ratio(
    point: Measured,
    variant: string,
    read: (cell: Cell) => number = ({ rate }) => rate,
    to: string = FLOOR
): Spread | undefined {
    const ratios = point.cells.flatMap((round) => {
        const [one, other] = [variant, to].map((name) => round.find((cell) => cell.variant === name))
        return one && other ? [read(one) / read(other)] : []
    })
    return ratios.length > 0 ? spread(ratios) : undefined
}
