import type { Catalog } from '../catalog'
import { parseGid, setId } from '../protocol'
import type { Resolver } from '../resolver'

interface Parts {
    readonly catalog: () => Catalog | undefined
    readonly resolver: () => Resolver
    /** Looks at the node now: the decision rule, from P on. */
    readonly wake: (node: number) => void
}

interface Doubt {
    readonly node: number
    readonly xid: string
    readonly since: number
    next: number
}

const FIRST = 5 // ms after the PREPARE: most sets are decided before, by their doorbell
const PART = 8 // the part of its age that a branch waits for the next question
const LONGEST = 100 // ms
const OLD = 60_000 // ms after which the nodes' turns are soon enough
const TURN = 1000 // ms between questions about those

/**
 * Branches that are prepared on watched nodes and not decided yet. Whether their local transaction is over is asked of the coordinator
 * every few milliseconds, so that an abort after PREPARE is not found at the node's next turn only. The answer decides nothing: R and F
 * were read here without P, so it is a reason to look, and the look follows the rule (recovery.ts).
 */
export class Haste {
    private readonly doubts = new Map<string, Doubt>()
    private timer: NodeJS.Timeout | undefined
    private asking = false

    constructor(private readonly parts: Parts) {}

    prepared(node: number, gid: string, xid: string): void {
        const since = Date.now()
        this.doubts.set(gid, { node, xid, since, next: since + FIRST })
        this.schedule(FIRST)
    }

    finished(gid: string): void {
        this.doubts.delete(gid)
    }

    forget(node?: number): void {
        for (const [gid, doubt] of this.doubts) if (node === undefined || doubt.node === node) this.doubts.delete(gid)
        if (this.doubts.size > 0) return
        clearTimeout(this.timer)
        this.timer = undefined
    }

    private schedule(wait: number): void {
        this.timer ??= setTimeout(() => {
            this.timer = undefined
            void this.turn()
        }, wait)
    }

    private async turn(): Promise<void> {
        if (this.asking) return
        this.asking = true
        const now = Date.now()
        try {
            await this.ask(now)
        } catch {
            // The coordinator does not answer: the nodes' turns find what is to be done.
        } finally {
            this.asking = false
        }
        let next = Infinity
        for (const doubt of this.doubts.values()) next = Math.min(next, doubt.next)
        if (next !== Infinity) this.schedule(Math.max(1, next - Date.now()))
    }

    private async ask(now: number): Promise<void> {
        const due = new Map<number, [string, Doubt][]>()
        for (const [gid, doubt] of this.doubts) {
            if (doubt.next > now) continue
            // What is decided is the resolver's.
            if (this.parts.resolver().find(setId(parseGid(gid)!), doubt.node) !== undefined) {
                this.doubts.delete(gid)
                continue
            }
            const age = now - doubt.since
            doubt.next = now + (age > OLD ? TURN : Math.min(LONGEST, Math.max(FIRST, age / PART)))
            due.set(doubt.node, [...(due.get(doubt.node) ?? []), [gid, doubt]])
        }
        const catalog = this.parts.catalog()
        if (catalog === undefined) return
        for (const [node, branches] of due) {
            const verdicts = await catalog.decide(
                node,
                branches.map(([gid]) => gid),
                branches.map(([, { xid }]) => xid)
            )
            if (verdicts.some(({ verdict }) => verdict === 'commit' || verdict === 'rollback')) this.parts.wake(node)
        }
    }
}
