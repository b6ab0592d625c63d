import type { Edge, Party } from './waitgraph'

/** Parties that wait for one another; each edge's blocker is the next one's waiter, and the first waiter is the victim. */
export interface Cycle {
    readonly edges: readonly Edge[]
    /** Sets of this coordinator in it that can be cancelled, the youngest first. */
    readonly victims: readonly Party[]
    /** Other coordinators with a set in it. */
    readonly foreign: readonly string[]
    /** The same for the same parties, wherever one begins. */
    readonly key: string
}

const MOST = 100 // cycles told at once; what is left is there at the next look
const SHORT = 2

/**
 * Deadlocks that no server can see by itself, the shortest first, each without the victims of those before it.
 *
 * A set has several processes: it waits with some, and is waited for at others. So a cycle of parties is one of two kinds. If at each
 * party the very process that is waited for waits in turn, it lies within one server, whose own detector ends it: it is left alone. If at
 * some party another process waits, no server sees it whole: every wait in it lasts until the next one ends, and nothing ends them.
 * (Waiting behind another in a queue counts, as pg_blocking_pids has it: only a server's own detector would rearrange one.)
 */
export function cyclesOf(all: readonly Edge[], gone: ReadonlySet<string> = new Set()): readonly Cycle[] {
    const cycles: Cycle[] = []
    let edges: readonly Edge[] = all.filter(
        ({ abandoned, waiter, blocker }) => !abandoned && !gone.has(waiter.label) && !gone.has(blocker.label)
    )
    while (cycles.length < MOST) {
        edges = entangled(edges)
        const found = shortest(edges)
        if (found === undefined) break
        const cycle = describe(found)
        cycles.push(cycle)
        const victim = cycle.victims[0]?.label
        // Where nobody can be cancelled, one of its waits taken out lets the others be seen.
        edges = edges.filter((edge) =>
            victim === undefined ? edge !== found[0] : edge.waiter.label !== victim && edge.blocker.label !== victim
        )
    }
    return cycles
}

function describe(edges: readonly Edge[]): Cycle {
    const parties = edges.map(({ waiter }) => waiter)
    // Between statements there is nothing to cancel: such a set waits with a connection that its program enlisted.
    const victims = parties.filter(({ set }) => set !== undefined && (set.state ?? 'active') === 'active')
    const age = ({ set }: Party): bigint => BigInt(set!.xid)
    victims.sort((a, b) => (age(a) > age(b) ? -1 : 1))
    const first = Math.max(
        0,
        edges.findIndex(({ waiter }) => waiter === victims[0])
    )
    return {
        edges: [...edges.slice(first), ...edges.slice(0, first)],
        victims,
        foreign: [...new Set(parties.flatMap(({ foreign }) => foreign ?? []))].sort(),
        key: parties
            .map(({ label }) => label)
            .sort()
            .join(', ')
    }
}

type ByWaiter = ReadonlyMap<string, readonly Edge[]>

function byWaiterOf(edges: readonly Edge[]): ByWaiter {
    const map = new Map<string, Edge[]>()
    for (const edge of edges) {
        const known = map.get(edge.waiter.label)
        if (known === undefined) map.set(edge.waiter.label, [edge])
        else known.push(edge)
    }
    return map
}

/** The shortest cycle that goes through another process of some party than the one waited for. */
function shortest(edges: readonly Edge[]): readonly Edge[] | undefined {
    const byWaiter = byWaiterOf(edges)
    let best: readonly Edge[] | undefined
    for (const [party, waits] of byWaiter) {
        for (const process of new Set(waits.map(({ from }) => from))) {
            const found = cycleThrough(party, process, byWaiter)
            if (found !== undefined && (best === undefined || found.length < best.length)) best = found
            if (best !== undefined && best.length <= SHORT) return best
        }
    }
    return best
}

/** From what this process of the party waits for, breadth first, back to another process of it. */
function cycleThrough(party: string, process: string, byWaiter: ByWaiter): readonly Edge[] | undefined {
    const seen = new Set<string>()
    const queue: { readonly edge: Edge; readonly before: number }[] = []
    const reach = (edge: Edge, before: number): boolean => {
        const home = edge.blocker.label === party
        if (!home && seen.has(edge.blocker.label)) return false
        seen.add(edge.blocker.label)
        queue.push({ edge, before })
        return home && edge.to !== process
    }
    const back = (): readonly Edge[] => {
        const path: Edge[] = []
        for (let at = queue.length - 1; at >= 0; at = queue[at]!.before) path.unshift(queue[at]!.edge)
        return path
    }
    for (const edge of byWaiter.get(party) ?? []) if (edge.from === process && reach(edge, -1)) return back()
    for (let at = 0; at < queue.length; at++) {
        const { blocker } = queue[at]!.edge
        if (blocker.label === party) continue
        for (const edge of byWaiter.get(blocker.label) ?? []) if (reach(edge, at)) return back()
    }
    return undefined
}

/** The edges whose ends lie on a common cycle (Tarjan's strongly connected components). */
function entangled(edges: readonly Edge[]): readonly Edge[] {
    const byWaiter = byWaiterOf(edges)
    const order = new Map<string, number>()
    const low = new Map<string, number>()
    const component = new Map<string, number>()
    const stack: string[] = []
    const visit = (party: string): void => {
        order.set(party, order.size)
        low.set(party, order.get(party)!)
        stack.push(party)
        for (const { blocker } of byWaiter.get(party) ?? []) {
            if (!order.has(blocker.label)) visit(blocker.label)
            if (!component.has(blocker.label)) low.set(party, Math.min(low.get(party)!, low.get(blocker.label)!))
        }
        if (low.get(party) !== order.get(party)) return
        for (let member = ''; member !== party;) {
            member = stack.pop()!
            component.set(member, order.get(party)!)
        }
    }
    for (const party of byWaiter.keys()) if (!order.has(party)) visit(party)
    return edges.filter(({ waiter, blocker }) => component.get(waiter.label) === component.get(blocker.label))
}
