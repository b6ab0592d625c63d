/** The compiled sidecar as a child process: the tests kill it, so it has to be a real one. */
import { execFileSync, spawn, type ChildProcessByStdio } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { signal } from './proctree'
import { until, within } from './wait'
import { cleanEnv, register } from './workdir'

const ROOT = resolve(__dirname, '..', '..')
const MAIN = join(ROOT, 'dist', 'main.js')

export interface SidecarOptions {
    readonly stateDir: string
    /** Handed over in PGLOBALXACT_DATABASE_URL: an argument would show its password in ps. */
    readonly databaseUrl?: string
    /** More variables, such as cluster.env(…); an undefined one takes away what is set here. */
    readonly env?: Readonly<Record<string, string | undefined>>
    /** More arguments for `run`. */
    readonly args?: readonly string[]
    /** Arguments of Node.js itself, such as --cpu-prof. */
    readonly nodeArgs?: readonly string[]
}

const STACK = 12 // lines

const warned: { readonly logs: readonly string[]; readonly at: number }[] = []

/** What Node.js warned sidecars of: that something they use will go away, and where they do. */
export const deprecations = (): readonly string[] => warned.map(({ logs, at }) => logs.slice(at, at + STACK).join('\n'))

const isDeprecation = (line: string): boolean => line.includes('DeprecationWarning: ')

let built = false
let program = MAIN

/** For a test that runs a changed copy of the program; undefined: the program itself again. */
export function useProgram(main: string | undefined): void {
    program = main ?? MAIN
}

/** Compiles sidecar/ into dist/ if that is missing or older; at most one time per process. */
export function buildOnce(): void {
    if (built) return
    const newest = Math.max(
        ...readdirSync(join(ROOT, 'sidecar'), { recursive: true, encoding: 'utf8' })
            .filter((file) => file.endsWith('.ts'))
            .map((file) => statSync(join(ROOT, 'sidecar', file)).mtimeMs)
    )
    if (!existsSync(MAIN) || statSync(MAIN).mtimeMs < newest) {
        const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
        execFileSync(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.build.json')], { stdio: 'inherit' })
    }
    built = true
}

type Child = ChildProcessByStdio<null, Readable, Readable>

function launch(args: readonly string[], env: NodeJS.ProcessEnv, nodeArgs: readonly string[] = []): Child {
    buildOnce()
    const child = spawn(process.execPath, ['--trace-deprecation', ...nodeArgs, program, ...args], {
        cwd: ROOT,
        env: { ...cleanEnv(), ...env },
        stdio: ['ignore', 'pipe', 'pipe']
    })
    register(child, `pglobalxact ${args[0] ?? ''}`, 'KILL')
    return child
}

export interface CommandResult {
    readonly stdout: string
    readonly stderr: string
    readonly code: number | null
}

/** Runs a command such as `install` to its end. */
export async function runCommand(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CommandResult> {
    const child = launch(args, env)
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text
    })
    const code = await new Promise<number | null>((done) => child.once('close', done))
    const logs = stderr.split('\n')
    if (logs.some(isDeprecation)) warned.push({ logs, at: logs.findIndex(isDeprecation) })
    return { stdout, stderr, code }
}

/** Starts `pglobalxact run`. Does not wait: use waitForLog, or a condition in the database. */
export function startSidecar({ stateDir, databaseUrl, env, args = [], nodeArgs }: SidecarOptions): Sidecar {
    // Off unless a test asks: on a machine that runs a sidecar of its own the default port is taken.
    const all = { PGLOBALXACT_METRICS: 'off', ...env, ...(databaseUrl && { PGLOBALXACT_DATABASE_URL: databaseUrl }) }
    return new Sidecar(launch(['run', '--state-dir', stateDir, ...args], all, nodeArgs))
}

export class Sidecar {
    readonly pid: number
    /** All it has printed, on standard output and standard error. */
    readonly logs: string[] = []
    /** Its exit code; null if a signal ended it. */
    readonly exit: Promise<number | null>
    #exited = false

    constructor(child: Child) {
        if (child.pid === undefined) throw new Error('the sidecar could not be started')
        this.pid = child.pid
        for (const input of [child.stdout, child.stderr]) {
            createInterface({ input }).on('line', (line) => {
                const at = this.logs.push(line) - 1
                if (isDeprecation(line)) warned.push({ logs: this.logs, at })
            })
        }
        // 'close' and not 'exit': then its last lines have been read too.
        this.exit = new Promise((done) =>
            child.once('close', (code) => {
                this.#exited = true
                done(code)
            })
        )
    }

    get running(): boolean {
        return !this.#exited
    }

    /** The first line from number `from` on that matches. An exit without one is an error at once. */
    async waitForLog(pattern: RegExp, timeoutMs = 20_000, from = 0): Promise<string> {
        const look = (): string | undefined => this.logs.slice(from).find((line) => pattern.test(line))
        const printed = (): string => `; it printed:\n${this.logs.slice(-50).join('\n')}`
        await until(`the sidecar has printed ${String(pattern)}`, () => look() ?? this.#exited, { timeoutMs }).catch((error: Error) => {
            throw new Error(error.message + printed())
        })
        const line = look()
        if (line === undefined) throw new Error(`the sidecar exited without printing ${String(pattern)}${printed()}`)
        return line
    }

    /** SIGTERM, and its exit code. An error if it does not obey within 15 s. */
    async stop(): Promise<number | null> {
        if (this.#exited) return this.exit
        this.resume()
        signal(this.pid, 'SIGTERM')
        const code = await within(this.exit, 15_000)
        if (code !== undefined) return code
        await this.kill()
        throw new Error(`the sidecar did not stop on SIGTERM; it printed:\n${this.logs.slice(-50).join('\n')}`)
    }

    /** SIGKILL, and wait until it is gone. */
    async kill(): Promise<void> {
        if (!this.#exited) signal(this.pid, 'SIGKILL')
        await this.exit
    }

    pause(): void {
        if (!this.#exited) signal(this.pid, 'SIGSTOP')
    }

    resume(): void {
        if (!this.#exited) signal(this.pid, 'SIGCONT')
    }
}
