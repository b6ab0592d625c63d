/** The processes of one PostgreSQL server, and what can happen to them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Binaries } from './binaries'
import { logOf, type Ended } from './launcher'
import { freeze, signal, untilGone } from './proctree'
import { within } from './wait'

export type StopMode = 'fast' | 'immediate'

interface Running {
    readonly pid: number
    readonly exit: Promise<Ended>
}

/** Generous: with fsync on a busy disk, a shutdown checkpoint can take long. */
export const DEADLINE_MS = 60_000

export class Postmaster {
    readonly dataDir: string
    readonly logFile: string
    #starting: Promise<unknown> | undefined
    #running: Running | undefined
    #frozen: readonly number[] = []

    constructor(
        readonly name: string,
        readonly binaries: Binaries,
        readonly home: string,
        private readonly env: Readonly<Record<string, string>> = {}
    ) {
        this.dataDir = join(home, 'data')
        this.logFile = logOf(home)
    }

    get pid(): number | undefined {
        return this.#running?.pid
    }

    /** The server's log so far. */
    log(): string {
        try {
            return readFileSync(this.logFile, 'utf8')
        } catch {
            return ''
        }
    }

    /** Starts the server; `exit` resolves when it ends. Says nothing about readiness. */
    start(): Promise<{ readonly exit: Promise<Ended> }> {
        if (this.#running) throw new Error(`${this.name} runs already`)
        const starting = this.#launch()
        this.#starting = starting.catch(() => undefined)
        return starting
    }

    async #launch(): Promise<{ readonly exit: Promise<Ended> }> {
        const { bin, launcher } = this.binaries
        const program = join(bin, 'postgres')
        const launched = await launcher.launch({
            program,
            args: ['-D', this.dataDir],
            home: this.home,
            title: `PostgreSQL ${this.name}`,
            last: 'QUIT',
            env: this.env
        })
        const exit = launched.exit.finally(() => {
            this.#running = undefined
        })
        if (launched.pid !== undefined) this.#running = { pid: launched.pid, exit }
        return { exit }
    }

    async stop(mode: StopMode): Promise<void> {
        // A test that ran into its time limit may have left a start under way.
        await this.#starting
        if (!this.#running) return
        this.resume()
        const { pid, exit } = this.#running
        signal(pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
        if (!(await within(exit, DEADLINE_MS))) throw new Error(`${this.name} did not stop:\n${this.log().slice(-4000)}`)
    }

    async kill(): Promise<void> {
        if (!this.#running) return
        const { pid, exit } = this.#running
        const all = freeze(pid)
        this.#frozen = []
        for (const one of all) signal(one, 'SIGKILL')
        await exit
        // A survivor would still be attached to the shared memory, and the next start would refuse.
        await untilGone(all)
    }

    pause(): void {
        if (!this.#running) throw new Error(`${this.name} is not running`)
        this.#frozen = freeze(this.#running.pid)
    }

    resume(): void {
        for (const pid of this.#frozen) signal(pid, 'SIGCONT')
        this.#frozen = []
    }

    freeSegment(): void {
        this.binaries.launcher.freeSegment(this.dataDir)
    }
}
