/** A real psql: what a DBA types and sees. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Cluster, Login } from './cluster'
import { signal } from './proctree'
import { until, within } from './wait'
import { cleanEnv, register, registerPid, release } from './workdir'

export interface PsqlResult {
    readonly stdout: string
    readonly stderr: string
    readonly code: number | null
}

let found: string | null | undefined

/** Path of psql: from PATH, else the newest one in Debian's place. */
export function findPsql(): string | undefined {
    if (found === undefined) {
        const debian = '/usr/lib/postgresql'
        const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
        const places = [...(process.env['PATH'] ?? '').split(delimiter), ...versions.map((v) => join(debian, v, 'bin'))]
        found = places.map((dir) => join(dir, 'psql')).find((path) => existsSync(path)) ?? null
    }
    return found ?? undefined
}

/** Skips the test or suite, loudly, where there is no psql. Call it with mocha's `this`. */
export function requirePsql(this: Mocha.Context): void {
    const missing = findPsql() ? (hasScript() ? undefined : 'script (util-linux)') : 'psql (Debian: apt install postgresql-client)'
    if (!missing) return
    console.error(`    SKIPPED, nothing is proved: ${missing} is not installed`)
    this.skip()
}

function hasScript(): boolean {
    return spawnSync('script', ['--version'], { stdio: 'ignore' }).error === undefined
}

function program(): string {
    const path = findPsql()
    if (!path) throw new Error('psql is not installed; call requirePsql in a before hook')
    return path
}

/** Runs a script through `psql -X`, read from standard input. Errors do not stop it, unless `args` say so. */
export async function psql(
    cluster: Cluster,
    login: Login,
    script: string,
    { args = [] }: { readonly args?: readonly string[] } = {}
): Promise<PsqlResult> {
    const child = spawn(program(), ['-X', ...args], { env: { ...cleanEnv(), ...cluster.env(login) } })
    register(child, 'psql', 'TERM')
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text
    })
    child.stdin.on('error', () => {
        /* it ended before it had read everything: the code tells */
    })
    child.stdin.end(script)
    const code = await new Promise<number | null>((resolve, reject) => {
        child.once('error', reject)
        child.once('close', resolve)
    })
    return { stdout, stderr, code }
}

// Ctrl-C ends psql when its input is a pipe, and a user's psql sits on a terminal anyway, so
// script(1) gives it one. Not canonical: else a line would end at 4096 bytes. noflsh: else
// Ctrl-C would throw away what was typed ahead, our end mark with it.
const TERMINAL = 'stty -echo -icanon -iexten -ixon -onlcr -icrnl noflsh; echo "pid $$"; exec "$PSQL" "$@"'

const ARGS = ['-X', '-q', '-n', '-P', 'pager=off', '-v', 'PROMPT1=', '-v', 'PROMPT2=', '-v', 'PROMPT3=']

function onTerminal(extra: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    const quoted = ['sh', '-c', TERMINAL, 'psql', ...ARGS, ...extra].map((word) => `'${word.replaceAll("'", `'\\''`)}'`)
    const args =
        process.platform === 'linux'
            ? ['-qec', `exec ${quoted.join(' ')}`, '/dev/null']
            : ['-q', '/dev/null', 'sh', '-c', TERMINAL, 'psql', ...ARGS, ...extra]
    return spawn('script', args, { env: { ...env, PSQL: program(), TERM: 'dumb', SHELL: '/bin/sh' }, stdio: 'pipe', detached: true })
}

/** One psql on a terminal, as a user has it open: a transaction can stay open between two commands. */
export class PsqlSession {
    #unread = ''
    #marks = 0
    #pid = 0
    readonly #exit: Promise<true>

    private constructor(readonly child: ChildProcess) {
        child.stdout?.setEncoding('utf8').on('data', (text: string) => {
            this.#unread += text
        })
        child.stdin?.on('error', () => {
            /* psql is gone: the next send times out and says so */
        })
        this.#exit = new Promise((resolve) =>
            child.once('close', () => {
                release(this.#pid)
                resolve(true)
            })
        )
    }

    static async open(cluster: Cluster, login: Login = {}, args: readonly string[] = []): Promise<PsqlSession> {
        const child = onTerminal(args, { ...cleanEnv(), ...cluster.env(login) })
        register(child, 'terminal of psql', 'KILL')
        const session = new PsqlSession(child)
        const greeting = await until('psql has started', () => /pid (\d+)\r?\n/.exec(session.#unread))
        session.#unread = session.#unread.slice(greeting.index + greeting[0].length)
        session.#pid = Number(greeting[1])
        registerPid(session.#pid, 'psql', 'KILL')
        await session.send('')
        return session
    }

    /** Pid of psql itself. */
    get pid(): number {
        return this.#pid
    }

    /** Types this (SQL or backslash commands) and resolves with what psql printed, errors included, in order. */
    async send(sql: string, { timeoutMs = 20_000 }: { readonly timeoutMs?: number } = {}): Promise<string> {
        const mark = `-- end of answer ${++this.#marks} --`
        this.child.stdin?.write(`${sql}\n\\echo ${mark}\n`)
        const end = `${mark}\n`
        let ended = false
        void this.#exit.then(() => {
            ended = true
        })
        await until(`psql has answered ${JSON.stringify(sql)}`, () => ended || this.#unread.includes(end), { timeoutMs }).catch(
            (error: Error) => {
                throw new Error(`${error.message}; it printed: ${this.#unread}`)
            }
        )
        const at = this.#unread.indexOf(end)
        if (at < 0) throw new Error(`psql ended before it answered ${JSON.stringify(sql)}: ${this.#unread}`)
        const output = this.#unread.slice(0, at)
        this.#unread = this.#unread.slice(at + end.length)
        return output
    }

    /** What it has printed since the last answer: of a command that has not ended, such as \watch. */
    get printed(): string {
        return this.#unread
    }

    /** Ctrl-C. The send that waits then resolves with psql's "canceling statement" error. */
    interrupt(): void {
        this.child.stdin?.write('\x03')
    }

    /** Leaves with \q; a session that is busy is killed after two seconds. */
    async close(): Promise<void> {
        this.child.stdin?.write('\n\\q\n')
        if (!(await within(this.#exit, 2_000))) await this.kill()
    }

    /** SIGKILL: the server sees the connection end in the middle of whatever it does. */
    async kill(): Promise<void> {
        signal(this.#pid, 'SIGKILL')
        await this.#exit
    }
}
