/** The table multiplied out: each point, with each party alone and with each two of them. */
import { GENTLE, type Party } from './parties'
import { POINTS, type Point } from './points'

export interface Case {
    readonly title: string
    readonly point: Point
    readonly dead: readonly Party[]
}

const pairs = (parties: readonly Party[]): readonly (readonly Party[])[] =>
    parties.flatMap((one, index) => parties.slice(index + 1).map((other) => [one, other]))

function deathsAt({ nodes = ['node c'], gentle = false }: Point): readonly (readonly Party[])[] {
    const parties: readonly Party[] = ['session', 'sidecar', 'coordinator', ...nodes]
    return [...parties.map((party) => [party]), ...pairs(parties), ...(gentle ? GENTLE.map((party) => [party]) : [])]
}

const describe = (dead: readonly Party[]): string => `${dead.join(' and ')} ${dead.length > 1 ? 'die' : 'dies'}`

export const CASES: readonly Case[] = POINTS.flatMap((point) =>
    deathsAt(point).map((dead) => ({ title: `${describe(dead)} ${point.when}`, point, dead }))
)
