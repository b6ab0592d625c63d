/** What will be done to whom, when, and for how long: all of it drawn from the seed before anything runs. */
import type { Kind } from './faults/kind'
import { LINK_KINDS } from './faults/links'
import { PEOPLE_KINDS } from './faults/people'
import { SERVER_KINDS } from './faults/servers'
import { random, type Random } from './random'

export interface Planned {
    /** Milliseconds since the load began. */
    readonly at: number
    readonly kind: string
    readonly on: string
    readonly lasts: number
    readonly roll: number
}

export const KINDS: readonly Kind[] = [...SERVER_KINDS, ...LINK_KINDS, ...PEOPLE_KINDS]

export const kindOf = (name: string): Kind => {
    const found = KINDS.find((kind) => kind.name === name)
    if (found === undefined) throw new Error(`no kind of fault is called ${name}`)
    return found
}

export const resourcesOf = ({ resource, also }: Kind, on: string): readonly string[] => [
    resource === 'link' ? `link ${on}` : (resource ?? on),
    ...(also === undefined ? [] : [also])
]

const EVERY = 600 // ms between two faults, on average
const GAP = 700 // ms for a resource between two faults of its own: something has to commit, too
const BEGIN = 500

/**
 * Kinds are dealt from a shuffled deck, so that all of them come before one comes again more often than its weight. A fault
 * whose resource is still busy comes when it is free; the run's length cuts off what does not fit.
 */
export function makePlan(seed: number, seconds: number, kinds: readonly Kind[] = KINDS): readonly Planned[] {
    const dice = random(seed)
    const end = seconds * 1000
    const free = new Map<string, number>()
    const plan: Planned[] = []
    let deck: Kind[] = []
    for (let clock = BEGIN; clock < end; clock += dice.int(EVERY * 0.2, EVERY * 1.8)) {
        if (deck.length === 0) deck = dice.shuffled(kinds.flatMap((kind) => Array<Kind>(kind.weight ?? 1).fill(kind)))
        const kind = deck.pop()!
        const planned = draw(dice, kind, clock, free)
        if (planned.at < end) plan.push(planned)
    }
    return plan.sort((a, b) => a.at - b.at)
}

function draw(dice: Random, kind: Kind, clock: number, free: Map<string, number>): Planned {
    const on = dice.pick(kind.on)
    const lasts = dice.int(...kind.lasts)
    const resources = resourcesOf(kind, on)
    const at = Math.max(clock, ...resources.map((one) => free.get(one) ?? 0))
    for (const one of resources) free.set(one, at + lasts + GAP)
    return { at, kind: kind.name, on, lasts, roll: dice.int(0, 999) }
}

export const printPlan = (plan: readonly Planned[]): string =>
    plan
        .map(({ at, kind, on, lasts, roll }) => `${(at / 1000).toFixed(3).padStart(9)} s  ${kind} (${on}) for ${lasts} ms [${roll}]`)
        .join('\n')
