/**
 * The temporary directory of this test process, the register of its child processes, and
 * the guard: a small shell process that outlives us, however we die.
 *
 * The guard reads a pipe that only this process holds open. End of file means that we are
 * gone (exit, Ctrl-C, SIGKILL alike): it then ends every registered process and removes the
 * directory. So no server is ever left over, and no exit or signal handler is needed.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** How the guard ends a process first; what is left after ten seconds gets SIGKILL. */
export type LastSignal = 'QUIT' | 'TERM' | 'KILL'

// A stopped process takes no signal but CONT and KILL, hence the CONT.
const GUARD = `
cat >/dev/null
cd "$1" 2>/dev/null || exit 0
each() { for f in children/*; do p=\${f##*/}; [ -f "$f" ] && "$@" "$p"; done; }
ask() { kill -CONT "$1"; kill -s "$(cat "children/$1")" "$1"; }
alive() { kill -0 "$1" && left=yes; }
each ask
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  left=; each alive; [ -z "$left" ] && break; sleep 0.5
done
each kill -KILL
[ -f at-end ] && . ./at-end
cd / && rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`

interface WorkDir {
    readonly path: string
    readonly guard: ChildProcess
}

const children = new Map<number, string>()
let current: WorkDir | undefined

function open(): WorkDir {
    const path = mkdtempSync(join(tmpdir(), 'pgx-test-'))
    mkdirSync(join(path, 'children'))
    // As root the servers run under another uid, which must be able to pass through.
    if (process.getuid?.() === 0) chmodSync(path, 0o711)
    // Detached: Ctrl-C in the terminal must end us, not the guard.
    const guard = spawn('/bin/sh', ['-c', GUARD, 'guard', path], {
        stdio: ['pipe', 'ignore', 'ignore'],
        detached: true,
        cwd: '/'
    })
    guard.unref()
    return { path, guard }
}

/** The temporary directory; made, with its guard, at the first call. */
export function workDir(): string {
    current ??= open()
    return current.path
}

/** Puts a child process into the guard's care until it exits. */
export function register(child: ChildProcess, description: string, last: LastSignal): void {
    const { pid } = child
    if (pid === undefined) return
    registerPid(pid, description, last)
    child.once('exit', () => release(pid))
}

/** The same for a process that is not our direct child; its starter calls `release`. */
export function registerPid(pid: number, description: string, last: LastSignal): void {
    children.set(pid, description)
    writeFileSync(join(workDir(), 'children', String(pid)), last)
}

export function release(pid: number): void {
    if (children.delete(pid) && current) rmSync(join(current.path, 'children', String(pid)), { force: true })
}

/** Leaves a shell script to the guard, which runs it after it has ended the processes. */
export function atEnd(script: string): void {
    writeFileSync(join(workDir(), 'at-end'), script)
}

/** Registered processes that still run, each with its description. */
export function livingChildren(): ReadonlyMap<number, string> {
    return new Map(children)
}

/** Removes the directory. Everything that runs in it must have been stopped before. */
export function removeWorkDir(): void {
    if (!current) return
    const { path, guard } = current
    current = undefined
    rmSync(path, { recursive: true, force: true, maxRetries: 10 })
    guard.stdin?.end()
}

export interface Account {
    readonly uid: number
    readonly gid: number
}

let account: Account | undefined

/** PostgreSQL refuses to run as root: the account to run it under, or undefined for our own. */
export function serverAccount(): Account | undefined {
    if (process.getuid?.() !== 0) return undefined
    account ??= lookUp('postgres') ?? lookUp('nobody')
    if (!account) throw new Error('running as root, and there is neither a user postgres nor nobody for the servers')
    return account
}

function lookUp(user: string): Account | undefined {
    try {
        const id = (flag: string): number => Number(execFileSync('id', [flag, user], { stdio: 'pipe', encoding: 'utf8' }))
        return { uid: id('-u'), gid: id('-g') }
    } catch {
        return undefined
    }
}

/** The environment without what would steer PostgreSQL programs behind the tests' back. */
export function cleanEnv(): NodeJS.ProcessEnv {
    const foreign = /^(PG|PGLOBALXACT_|DATABASE_URL$|npm_)/
    return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)))
}
