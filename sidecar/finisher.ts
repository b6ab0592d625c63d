import type { FaultPoints } from './fault'
import type { Hand } from './hand'
import type { Action } from './protocol'
import { classify, type Problem } from './sqlstate'

/** What a node said to one COMMIT PREPARED or ROLLBACK PREPARED. */
export type Answer = { readonly ok: true } | { readonly ok: false; readonly problem: Problem }

const DONE: Answer = { ok: true }

type Owner = string | undefined

interface Job {
    readonly action: Action
    readonly gid: string
    readonly answer: (answer: Answer) => void
}

interface Worker {
    readonly hand: Hand
    /** null: it could not be taken, and is asked for again before the next branch. */
    role: Owner | null
    /** Why the role cannot be taken; the branches are asked for all the same: one may be gone, finished by hand, and only asking tells. */
    refused: Problem | undefined
    /** Takes the role of other branches' owner. */
    turning: boolean
    idleSince: number
}

/** First come, first served, in constant time: ten thousand may wait. */
class Queue {
    private jobs: Job[] = []
    private head = 0

    get length(): number {
        return this.jobs.length - this.head
    }

    add(job: Job): void {
        this.jobs.push(job)
    }

    take(): Job {
        const job = this.jobs[this.head++]!
        if (this.head > 1000 && this.head * 2 > this.jobs.length) {
            this.jobs = this.jobs.slice(this.head)
            this.head = 0
        }
        return job
    }
}

const NOT_ALLOWED = '42501' // insufficient_privilege: the branch is there, and is another role's
const DEPTH = 16 // statements under way per connection, at most: hides the round trip, and leaves the rest of a burst to connections still being opened
const SHARE = 4 // statements waiting or under way per connection from which another one is worth opening: each commits with an fsync of its own
const FEW = 4 // connections; more of them are for a backlog, which gains nothing while they are being opened
const LARGE_SHARE = 16 // statements for each of those
const REFUSED = 1000 // ms until another connection is asked for, where one could not be had
const IDLE = 60_000 // ms without work after which a connection is given up

/**
 * Phase two at one node: COMMIT PREPARED and ROLLBACK PREPARED, pipelined over a few connections, as the role that
 * prepared each branch (SET ROLE: no superuser is needed). Every job gets exactly one answer. Connections are opened when
 * there is work for them, and given up when there was none for a while.
 */
export class Finisher {
    private readonly queues = new Map<Owner, Queue>()
    private workers: Worker[] = []
    private opening = 0
    private openAgain = 0
    private closed: Error | undefined
    private pumping = false
    private queued = 0
    private reaper: NodeJS.Timeout | undefined

    constructor(
        private readonly open: () => Promise<Hand>,
        private readonly most: number,
        private readonly fault: FaultPoints,
        private readonly idle = IDLE
    ) {}

    /** Branches that were handed over and not answered yet. */
    get waiting(): number {
        return this.queued + this.workers.reduce((sum, { hand }) => sum + hand.flying, 0)
    }

    /** Connections held. */
    get hands(): number {
        return this.workers.length
    }

    finish(action: Action, gid: string, owner: string | undefined): Promise<Answer> {
        return new Promise((answer) => {
            if (this.closed !== undefined) return answer({ ok: false, problem: classify(this.closed) })
            let queue = this.queues.get(owner)
            if (queue === undefined) this.queues.set(owner, (queue = new Queue()))
            queue.add({ action, gid, answer })
            this.queued += 1
            this.pumpSoon()
        })
    }

    /** Whatever was sent and not answered is unknown. */
    close(reason: string): void {
        this.closed = new Error(reason)
        clearTimeout(this.reaper)
        for (const worker of this.workers) worker.hand.destroy()
        this.workers = []
        this.failAll(this.closed)
    }

    /** Once for all that is handed over, or answered, in one turn: what goes out on a connection then goes in one write. */
    private pumpSoon(): void {
        if (this.pumping) return
        this.pumping = true
        queueMicrotask(() => {
            this.pumping = false
            this.pump()
        })
    }

    private pump(): void {
        const written = new Set<Worker>()
        for (const [owner, queue] of this.queues) {
            while (queue.length > 0) {
                const worker = this.choose(owner)
                if (worker === undefined) break
                written.add(worker)
                this.queued -= 1
                this.send(worker, queue.take())
            }
            if (queue.length === 0) this.queues.delete(owner)
            else if (!this.workers.some((worker) => worker.role === owner)) this.turn(owner)
        }
        for (const { hand } of written) hand.flush()
        const have = (): number => this.workers.length + this.opening
        // Without any, one is asked for all the same: what is queued would wait for nobody.
        const late = have() > 0 && performance.now() < this.openAgain
        while (!late && this.closed === undefined && have() < this.most && this.wanted > have()) void this.addWorker()
    }

    private get wanted(): number {
        const few = Math.ceil(this.waiting / SHARE)
        const many = FEW + Math.ceil((this.waiting - FEW * SHARE) / LARGE_SHARE)
        return Math.max(this.queued > 0 ? 1 : 0, Math.min(few, many))
    }

    /** The connection in this role with the least to do. */
    private choose(owner: Owner): Worker | undefined {
        let best: Worker | undefined
        for (const worker of this.workers)
            if (worker.role === owner && !worker.turning && worker.hand.flying < (best?.hand.flying ?? DEPTH)) best = worker
        return best
    }

    /** No connection has this role: the one with the least to do takes it, once it has all its answers. */
    private turn(owner: Owner): void {
        if (this.workers.some((worker) => worker.turning)) return
        const worker = this.workers.reduce<Worker | undefined>(
            (best, one) => (best && best.hand.flying <= one.hand.flying ? best : one),
            undefined
        )
        if (worker === undefined) return
        worker.turning = true
        if (worker.hand.flying === 0) this.become(worker, owner)
    }

    /** For whom the turning connection is kept free: the first whose branches wait and have none. */
    private get neglected(): Owner | null {
        for (const [owner, queue] of this.queues)
            if (queue.length > 0 && !this.workers.some((worker) => worker.role === owner && !worker.turning)) return owner
        return null
    }

    private become(worker: Worker, owner: Owner): void {
        const { hand } = worker
        hand.order(`set role ${owner === undefined ? 'none' : hand.quoteName(owner)}`, (error) => {
            worker.refused = error === undefined ? undefined : classify(error)
            if (worker.refused?.trouble === 'unknown') this.discard(worker)
            worker.role = owner
            worker.turning = false
            this.pumpSoon()
        })
        hand.flush()
    }

    private send(worker: Worker, { action, gid, answer }: Job): void {
        const { hand } = worker
        const unread = this.fault.armed(`${action} unread`)
        let goOn: Promise<void> | undefined
        hand.order(`${action === 'commit' ? 'COMMIT' : 'ROLLBACK'} PREPARED ${hand.quote(gid)}`, (error) => {
            if (goOn === undefined) this.tell(worker, answer, error)
            else void goOn.then(() => this.tell(worker, answer, error))
        })
        if (!unread) return
        // It reaches the node, and is not read before the process goes on.
        hand.flush()
        goOn = this.fault.at(`${action} unread`)
    }

    private tell(worker: Worker, answer: (answer: Answer) => void, error: unknown): void {
        if (error === undefined) answer(DONE)
        else {
            const problem = classify(error)
            if (problem.trouble === 'unknown') this.discard(worker)
            answer({ ok: false, problem: problem.sqlstate === NOT_ALLOWED ? (worker.refused ?? problem) : problem })
        }
        if (worker.hand.flying === 0) this.rest(worker)
        if (this.queued > 0) this.pumpSoon()
    }

    private rest(worker: Worker): void {
        worker.idleSince = performance.now()
        if (worker.refused !== undefined) worker.role = null
        const next = worker.turning ? this.neglected : null
        if (next !== null) this.become(worker, next)
        else worker.turning = false
        this.reapLater(this.idle)
    }

    private reapLater(milliseconds: number): void {
        if (this.closed !== undefined || this.reaper !== undefined) return
        this.reaper = setTimeout(() => {
            this.reaper = undefined
            this.reap()
        }, milliseconds).unref()
    }

    /** Gives up what has been idle for long enough; the fence's own session is not among these. */
    private reap(): void {
        const now = performance.now()
        const over = (worker: Worker): boolean => worker.hand.flying === 0 && !worker.turning && now - worker.idleSince >= this.idle
        const idle = this.workers.filter(over)
        this.workers = this.workers.filter((worker) => !idle.includes(worker))
        for (const { hand } of idle) hand.end()
        const next = Math.min(...this.workers.map(({ idleSince }) => idleSince))
        if (this.workers.length > 0) this.reapLater(Math.max(next + this.idle - now, this.idle / 10))
    }

    private async addWorker(): Promise<void> {
        this.opening += 1
        try {
            const hand = await this.open()
            if (this.closed !== undefined) return hand.destroy()
            const worker: Worker = {
                hand,
                role: undefined,
                refused: undefined,
                turning: false,
                idleSince: performance.now()
            }
            hand.onEnd(() => {
                this.workers = this.workers.filter((other) => other !== worker)
                if (this.queued > 0) this.pumpSoon()
            })
            this.workers.push(worker)
            const owner = this.ownerFor()
            if (owner !== undefined) {
                worker.turning = true
                this.become(worker, owner)
            }
            this.reapLater(this.idle)
        } catch (error) {
            if (this.workers.length === 0 && this.opening === 1) this.failAll(error)
            // The others do the work, or may yet be had. The node may have no connection to spare, and is not to be asked for one all the time.
            else this.openAgain = performance.now() + REFUSED
        } finally {
            this.opening -= 1
            this.pumpSoon()
        }
    }

    /** Whose branches a new connection is for: those without one, else those of whom the most wait. */
    private ownerFor(): Owner {
        const neglected = this.neglected
        if (neglected !== null) return neglected
        let [most, waiting]: [Owner, number] = [undefined, 0]
        for (const [owner, queue] of this.queues) if (queue.length >= waiting) [most, waiting] = [owner, queue.length]
        // When all is under way already, it is for more of what came last.
        return waiting > 0 ? most : (this.workers.find(({ role }) => typeof role === 'string')?.role ?? undefined)
    }

    private discard(worker: Worker): void {
        this.workers = this.workers.filter((other) => other !== worker)
        worker.hand.destroy()
    }

    private failAll(error: unknown): void {
        const problem = classify(error)
        const queues = [...this.queues.values()]
        this.queues.clear()
        this.queued = 0
        for (const queue of queues) while (queue.length > 0) queue.take().answer({ ok: false, problem })
    }
}
