import type { Client } from 'pg'
import type { FaultPoints } from './fault'
import type { Action } from './protocol'
import { destroy } from './session'
import { classify, type Problem } from './sqlstate'

/** What a node said to one COMMIT PREPARED or ROLLBACK PREPARED. */
export type Answer = { readonly ok: true } | { readonly ok: false; readonly problem: Problem }

interface Job {
    readonly action: Action
    readonly gid: string
    readonly owner: string | undefined
    readonly answer: (answer: Answer) => void
}

interface Worker {
    readonly client: Client
    role: string | undefined
    busy: boolean
}

const NOT_ALLOWED = '42501' // insufficient_privilege: the branch is there, and is another role's
const BATCH = 32 // statements in flight per connection: enough to hide the round trip, few enough to share a burst between connections

/**
 * Phase two at one node: COMMIT PREPARED and ROLLBACK PREPARED, pipelined over a few connections, as the role that
 * prepared each branch (SET ROLE: no superuser is needed). Every job gets exactly one answer.
 */
export class Finisher {
    private queue: Job[] = []
    private workers: Worker[] = []
    private opening = 0
    private closed = false

    constructor(
        private readonly open: () => Promise<Client>,
        private readonly most: number,
        private readonly fault: FaultPoints
    ) {}

    get waiting(): number {
        return this.queue.length
    }

    finish(action: Action, gid: string, owner: string | undefined): Promise<Answer> {
        return new Promise((answer) => {
            this.queue.push({ action, gid, owner, answer })
            this.pump()
        })
    }

    /** Whatever was sent and not answered is unknown. */
    close(reason: string): void {
        this.closed = true
        for (const worker of this.workers) destroy(worker.client)
        this.workers = []
        this.fail(this.queue.splice(0), new Error(reason))
    }

    private pump(): void {
        while (this.queue.length > 0) {
            const owner = this.queue[0]!.owner
            const idle = this.workers.filter((worker) => !worker.busy)
            const worker = idle.find((one) => one.role === owner) ?? idle[0]
            if (worker === undefined) break
            void this.run(worker, this.take(owner))
        }
        const wanted = Math.ceil(this.queue.length / BATCH)
        while (!this.closed && this.opening < wanted && this.workers.length + this.opening < this.most) void this.addWorker()
    }

    private take(owner: string | undefined): Job[] {
        const batch: Job[] = []
        const rest: Job[] = []
        for (const job of this.queue) (job.owner === owner && batch.length < BATCH ? batch : rest).push(job)
        this.queue = rest
        return batch
    }

    private async addWorker(): Promise<void> {
        this.opening += 1
        try {
            const client = await this.open()
            if (this.closed) return destroy(client)
            const worker: Worker = { client, role: undefined, busy: false }
            client.on('end', () => (this.workers = this.workers.filter((other) => other !== worker)))
            this.workers.push(worker)
        } catch (error) {
            if (this.workers.length === 0) this.fail(this.queue.splice(0), error)
        } finally {
            this.opening -= 1
            this.pump()
        }
    }

    private async run(worker: Worker, jobs: readonly Job[]): Promise<void> {
        worker.busy = true
        const refused = await this.become(worker, jobs[0]!.owner)
        if (refused?.trouble === 'unknown') {
            this.discard(worker.client)
            for (const job of jobs) job.answer({ ok: false, problem: refused })
        } else {
            // Also without the role: the branch may be gone, finished by hand, and only asking for it tells.
            await Promise.all(jobs.map((job) => this.send(worker.client, job, refused)))
        }
        worker.busy = false
        this.pump()
    }

    /** Undefined, or why the role of the branches' owner cannot be taken. */
    private async become(worker: Worker, owner: string | undefined): Promise<Problem | undefined> {
        if (worker.role === owner) return undefined
        try {
            await worker.client.query("select set_config('role', $1, false)", [owner ?? 'none'])
            worker.role = owner
            return undefined
        } catch (error) {
            return classify(error)
        }
    }

    private async send(client: Client, job: Job, refused: Problem | undefined): Promise<void> {
        try {
            const order = client.query(`${job.action === 'commit' ? 'COMMIT' : 'ROLLBACK'} PREPARED ${client.escapeLiteral(job.gid)}`)
            if (this.fault.armed(`${job.action} unread`)) {
                order.catch(() => undefined) // it is awaited, but not before the process goes on
                await this.fault.at(`${job.action} unread`)
            }
            await order
            job.answer({ ok: true })
        } catch (error) {
            const problem = classify(error)
            if (problem.trouble === 'unknown') this.discard(client)
            job.answer({ ok: false, problem: problem.sqlstate === NOT_ALLOWED ? (refused ?? problem) : problem })
        }
    }

    private discard(client: Client): void {
        this.workers = this.workers.filter((worker) => worker.client !== client)
        destroy(client)
    }

    private fail(jobs: readonly Job[], error: unknown): void {
        const problem = classify(error)
        for (const job of jobs) job.answer({ ok: false, problem })
    }
}
