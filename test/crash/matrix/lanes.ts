/**
 * Several cases at a time, on servers of their own: they wait for servers and timers most of the while. Each mocha test asks
 * for the result of its own case; asking sets the next ones going too.
 */
import { availableParallelism } from 'node:os'
import { Lane } from './lane'
import type { Case } from './cases'
import { lanes } from './figures'

const LANES = lanes(Math.min(4, availableParallelism() + 1))
const AHEAD = 2 * LANES

export class Lanes {
    private readonly results = new Map<Case, Promise<void>>()
    private readonly free: Lane[] = []
    private readonly queue: ((lane: Lane | undefined) => void)[] = []
    private opened = 0

    constructor(private readonly cases: readonly Case[]) {}

    result(one: Case): Promise<void> {
        const from = this.cases.indexOf(one)
        for (const next of this.cases.slice(from, from + AHEAD)) {
            if (this.results.has(next)) continue
            const result = this.run(next)
            result.catch(() => undefined) // its own test awaits it
            this.results.set(next, result)
        }
        return this.results.get(one)!
    }

    async close(): Promise<void> {
        await Promise.allSettled(this.results.values())
        await Promise.all(this.free.map((lane) => lane.close()))
    }

    private async run(one: Case): Promise<void> {
        const lane = await this.take()
        let good = false
        try {
            await lane.run(one)
            good = true
        } finally {
            // After a failure nothing is known of it: the next case gets servers of its own.
            if (!good) await lane.close().catch(() => undefined)
            this.give(good ? lane : undefined)
        }
    }

    private async take(): Promise<Lane> {
        const kept = this.free.pop()
        if (kept) return kept
        const given =
            this.opened < LANES ? ((this.opened += 1), undefined) : await new Promise<Lane | undefined>((go) => this.queue.push(go))
        return given ?? Lane.open()
    }

    private give(lane: Lane | undefined): void {
        const next = this.queue.shift()
        if (next) next(lane)
        else if (lane) this.free.push(lane)
        else this.opened -= 1
    }
}
