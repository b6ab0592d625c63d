import { setTimeout as sleep } from 'node:timers/promises'
import type { Acting } from './acting'
import type { Catalog } from './catalog'
import { cyclesOf, type Cycle } from './cycles'
import type { Journal } from './journal'
import type { Log } from './log'
import type { Node } from './node'
import { messageOf } from './sqlstate'
import type { Tally } from './tally'
import { edgesOf, type Edge, type Mode, type SetInFlight } from './waitgraph'
import { askOnce, Eyes, lookAtWaits } from './waitlook'

const SHORTEST = 50 // ms between looks, however short deadlock_timeout is
const LONGEST = 1000 // ms that a node may take to answer: to stop must not take longer
const WRITE = 2000 // ms between two times that the costs are written down
const LAST_BREATH = 2000 // ms that a cancelled set has to be gone; then it is cancelled anew
const TRIES = 3 // after which another set of the cycle is
const FOREIGN = 2000 // ms for which a cycle through another coordinator's sets must stand; each coordinator waits as long again for those before it

interface Parts {
    readonly log: Log
    readonly journal: Pick<Journal, 'note'>
    readonly tally: Tally
}

interface Cancelled {
    readonly set: SetInFlight
    readonly at: number
    readonly times: number
}

/**
 * Looks for deadlocks over several servers, every deadlock_timeout, and ends them by cancelling the youngest set of each.
 *
 * Nobody can stop all servers to look at them. Why a cycle that is acted upon exists nevertheless:
 *   - an edge is believed when two looks, one of which ended before the other began, both show it: the same wait (by the server's own waitstart) of
 *     the same transaction, for the same transaction. Its waiter has waited through the time between the two looks, and so
 *     have all others of the cycle: there is an instant at which all of them wait
 *   - whoever waits does nothing else, and none of these waits ends before the next one does: so it lasts
 *   - a set waits for what its branches wait for as long as its own session is busy; what an earlier or cancelled statement left on
 *     a node is told from a branch (waitgraph.ts). Of another coordinator's sets that cannot be seen from here:
 *     a cycle with one must stand for longer than what was left behind lives on (client_connection_check_interval of _connect)
 * One cycle has one victim: a set that was cancelled counts as gone from then on, in all cycles and at all servers.
 *
 * If the process dies on any line, nothing is left to be undone: a cancelled set is rolled back like any other that was cancelled.
 */
export class Deadlocks {
    private mode: Mode = 'off'
    private readonly sleepers = new Set<() => void>()
    private last = new Map<string, Edge>()
    /** By their keys: deadlocks that have been told, and since when those with foreign sets stand. */
    private told = new Set<string>()
    private foreign = new Map<string, number>()
    private cancelled = new Map<string, Cancelled>()
    private costs = { looks: 0, queries: 0, ms: 0, found: 0, cancelled: 0 }
    private writtenAt = 0

    constructor(private readonly parts: Parts) {}

    /** Until `over` says so. While it is off it does nothing, at no time. */
    async keep(catalog: Catalog, acting: Acting, over: () => boolean): Promise<void> {
        const eyes = new Eyes()
        this.last.clear()
        this.mode = await catalog.watchDeadlocks().catch(() => 'off')
        while (!over()) {
            if (this.mode === 'off') {
                this.parts.tally.deadlocksStand(0)
                eyes.keepOnly(new Set())
                this.last.clear()
                await this.write(catalog)
                await this.release(catalog, () => true).catch(() => undefined)
                if (!over() && this.mode === 'off') await this.rest()
                continue
            }
            const wait = await this.turn(catalog, acting, eyes, over).catch((error: unknown) => {
                if (!over()) this.parts.log.warning('deadlocks', { error: messageOf(error) })
                return 1000
            })
            if (!over()) await this.rest(Math.max(wait, SHORTEST))
        }
        eyes.keepOnly(new Set())
        this.parts.tally.deadlocksStand(0)
    }

    /** Who keeps it is to see whether it is over, or the mode another. */
    hurry(): void {
        for (const wake of this.sleepers) wake()
    }

    async choose(catalog: Catalog, mode: Mode, by: string): Promise<{ readonly mode: Mode }> {
        this.mode = await catalog.watchDeadlocks(mode, by)
        this.parts.journal.note('deadlock detection', `${mode}, by ${by}`)
        this.hurry()
        return { mode: this.mode }
    }

    /** For lock_waits(): all there is to see. */
    async waits(catalog: Catalog, acting: Acting): Promise<readonly object[]> {
        const sight = await this.look(catalog, acting, true, askOnce)
        return [...sight.silent, ...edgesOf(sight.seen).map(shown)]
    }

    /** For deadlocks() and deadlock_dot(): seen twice. */
    async cycles(catalog: Catalog, acting: Acting): Promise<{ readonly waits: readonly object[]; readonly cycles: readonly object[] }> {
        const before = keyed(edgesOf((await this.look(catalog, acting, true, askOnce)).seen))
        const now = edgesOf((await this.look(catalog, acting, true, askOnce)).seen)
        const cycles = cyclesOf(now.filter(({ identity }) => before.has(identity)))
        return {
            waits: now.map(shown),
            cycles: cycles.map(({ edges, victims }) => ({ victim: victims[0]?.label, waits: edges.map(shown) }))
        }
    }

    /** One look; returns the milliseconds until the next. */
    private async turn(catalog: Catalog, acting: Acting, eyes: Eyes, over: () => boolean): Promise<number> {
        const nodes = [...acting.nodes.keepers.values()].map(({ node }) => node)
        eyes.keepOnly(new Set(nodes))
        let patience = SHORTEST
        const ask = (node: Node, everything: boolean) => eyes.ask(node, everything, Math.min(Math.max(patience, SHORTEST * 4), LONGEST))
        const told = {
            waits: async (everything: boolean) => catalog.waits(everything).then((waits) => ((patience = waits.patience), waits))
        }
        const sight = await this.look(told, acting, false, ask)
        // Looks must not overlap, and with the coordinator back there is another who looks.
        if (over()) return 0
        const edges = edgesOf(sight.seen)
        const stood = edges.filter(({ identity }) => this.last.has(identity))
        this.last = keyed(edges)
        const { sets } = sight.seen
        // An answer without sets says that none has been open for a while; the cancelled one had been.
        await this.release(catalog, ({ set, at }) => performance.now() - at > SHORTEST && !sets.some((one) => one.set === set.set))
        const gone = new Set(
            [...this.cancelled.values()].filter(({ at }) => performance.now() - at < LAST_BREATH).map(({ set }) => set.set)
        )
        const cycles = cyclesOf(stood, gone)
        this.costs.found += this.tell(cycles)
        this.parts.tally.deadlocksStand(cycles.length)
        if (this.mode === 'resolve') for (const cycle of cycles) await this.resolve(catalog, acting, cycle)
        if (performance.now() - this.writtenAt > WRITE || cycles.length > 0) await this.write(catalog)
        // What may be a deadlock is looked at again soon: found within one and a half, and a quarter for sets that were too young at first.
        const suspected = stood.length < edges.length && cyclesOf(edges, gone).length > 0
        return suspected || this.cancelled.size > 0 ? patience / 2 : patience
    }

    private async look(
        catalog: Pick<Catalog, 'waits'>,
        { coordinator, nodes }: Acting,
        everything: boolean,
        ask: Parameters<typeof lookAtWaits>[0]['ask']
    ) {
        this.costs.looks += 1
        const query = (milliseconds: number): void => {
            this.costs.queries += 1
            this.costs.ms += milliseconds
            this.parts.tally.lookedForDeadlocks(milliseconds)
        }
        return lookAtWaits({ coordinator, catalog, keepers: nodes.keepers, everything, ask, cost: { query } })
    }

    /** Each once, as long as it stands. Returns how many are new. */
    private tell(cycles: readonly Cycle[]): number {
        const standing = new Set(cycles.map(({ key }) => key))
        let found = 0
        for (const cycle of cycles) {
            if (this.told.has(cycle.key)) continue
            found += 1
            this.parts.tally.deadlock('found')
            this.parts.log.warning('deadlock over several servers', { waits: sentence(cycle) })
            const nobody = cycle.victims.length === 0 ? '; none of these can be cancelled by this coordinator' : ''
            this.parts.journal.note('deadlock', sentence(cycle) + nobody, { set: cycle.victims[0]?.label })
        }
        this.told = standing
        for (const key of this.foreign.keys()) if (!standing.has(key)) this.foreign.delete(key)
        return found
    }

    private async resolve(catalog: Catalog, acting: Acting, cycle: Cycle): Promise<void> {
        if (!this.isTurn(acting.coordinator, cycle)) return
        const tries = (set: SetInFlight): number => this.cancelled.get(set.set)?.times ?? 0
        const victims = cycle.victims.flatMap(({ set }) => set ?? [])
        const fresh = victims.filter((set) => tries(set) < TRIES)
        for (const set of [...fresh, ...victims.filter((one) => !fresh.includes(one))]) {
            const times = tries(set) + 1
            try {
                const sent = await catalog.cancelSet(set)
                // Gone by itself, and the cycle with it; or idle: at the next look it is no victim.
                if (!sent) return
            } catch (error) {
                this.parts.log.warning('a set in a deadlock cannot be cancelled', { set: set.set, error: messageOf(error) })
                continue
            }
            this.cancelled.set(set.set, { set, at: performance.now(), times })
            if (times > 1) return
            this.costs.cancelled += 1
            this.parts.tally.deadlock('cancelled')
            this.parts.journal.note('deadlock victim', sentence(cycle), { set: set.set })
            this.parts.log.info('cancelled a set to end a deadlock', { set: set.set, pid: set.pid })
            void this.clearAway(catalog, acting, set)
            return
        }
    }

    /** A cycle with other coordinators' sets has as many who may end it: in the order of their ids, so that one does. */
    private isTurn(coordinator: string, { key, foreign }: Cycle): boolean {
        if (foreign.length === 0) return true
        const since = this.foreign.get(key) ?? performance.now()
        this.foreign.set(key, since)
        const before = foreign.filter((other) => other < coordinator).length
        return performance.now() - since >= FOREIGN * (before + 1)
    }

    /** What the cancelled set leaves on its nodes holds locks until recovery ends it: at once, not at the next look. */
    private async clearAway(catalog: Catalog, { nodes }: Acting, { set, nodes: numbers }: SetInFlight): Promise<void> {
        try {
            const deadline = performance.now() + LAST_BREATH
            while (performance.now() < deadline && (await catalog.standing(set))?.pid !== null) await sleep(20)
            for (const number of numbers) void nodes.keepers.get(number)?.look(true)
        } catch {
            // The coordinator is lost: whoever acts next looks at every node anyway.
        }
    }

    private async release(catalog: Catalog, over: (cancelled: Cancelled) => boolean): Promise<void> {
        for (const [id, cancelled] of this.cancelled) {
            if (!over(cancelled)) continue
            await catalog.forgetCancelled(id)
            this.cancelled.delete(id)
        }
    }

    private async write(catalog: Catalog): Promise<void> {
        this.writtenAt = performance.now()
        const { costs } = this
        if (costs.looks === 0) return
        this.costs = { looks: 0, queries: 0, ms: 0, found: 0, cancelled: 0 }
        await catalog.countDeadlocks(costs).catch((error: unknown) => this.parts.log.warning('deadlocks', { error: messageOf(error) }))
    }

    private rest(ms?: number): Promise<void> {
        return new Promise((done) => {
            const wake = (): void => {
                clearTimeout(timer)
                this.sleepers.delete(wake)
                done()
            }
            const timer = ms === undefined ? undefined : setTimeout(wake, ms)
            this.sleepers.add(wake)
        })
    }
}

const keyed = (edges: readonly Edge[]): Map<string, Edge> => new Map(edges.map((edge) => [edge.identity, edge]))

const shown = ({ place, lock, waited, waiter, blocker, abandoned }: Edge): object => ({
    place,
    waiter: waiter.label,
    waits_for: blocker.label,
    lock,
    waited,
    waiter_is: waiter.is + (abandoned ? ', given up' : ''),
    blocker_is: blocker.is
})

const sentence = ({ edges }: Cycle): string =>
    edges.map(({ waiter, blocker, place, lock }) => `${waiter.label} waits for ${blocker.label} on ${place} (${lock})`).join('; ')
