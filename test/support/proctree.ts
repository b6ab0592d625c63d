/** Signals and process listings. A zombie counts as gone: it holds no lock and no memory. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { until } from './wait'

interface ProcessInfo {
    readonly pid: number
    readonly parent: number
    readonly zombie: boolean
}

const TICK_US = 10_000 // USER_HZ is 100 wherever Linux runs

/** The fields of proc(5)'s stat from the third on; undefined when there is no such process. */
function statOf(pid: number): readonly string[] | undefined {
    try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        // The command name may hold spaces and parentheses: the fields start after the last one.
        return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    } catch {
        return undefined
    }
}

function fromProc(pid: number): ProcessInfo | undefined {
    const stat = statOf(pid)
    if (stat === undefined) return undefined
    const [state, parent] = stat
    return { pid, parent: Number(parent), zombie: state === 'Z' || state === 'X' }
}

/** Processor time in microseconds, of a process and of those of its children that have ended and were waited for. Linux only. */
export const cpuOf = (pid: number): number => (statOf(pid) ?? []).slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * TICK_US

/** The same, with its living children: all there is of a postmaster and its backends, which have none of their own. */
export const cpuOfFamily = (pid: number): number => childrenOf(pid).reduce((sum, child) => sum + cpuOf(child), cpuOf(pid))

function fromPs(line: string): ProcessInfo {
    const [pid, parent, state] = line.trim().split(/\s+/)
    return { pid: Number(pid), parent: Number(parent), zombie: state?.startsWith('Z') ?? true }
}

function list(): readonly ProcessInfo[] {
    if (process.platform !== 'linux') {
        return execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat='], { encoding: 'utf8' }).trim().split('\n').map(fromPs)
    }
    return readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .map((name) => fromProc(Number(name)))
        .filter((info) => info !== undefined)
}

/** Pids of the direct children that still live. */
export function childrenOf(parent: number): readonly number[] {
    return list()
        .filter((p) => p.parent === parent && !p.zombie)
        .map((p) => p.pid)
}

/** Sends a signal; false if there is no such process any more. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
    try {
        return process.kill(pid, name)
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
        throw error
    }
}

/** Waits until none of these processes lives. */
export async function untilGone(pids: readonly number[]): Promise<void> {
    const wanted = new Set(pids)
    await until(`processes ${pids.join(', ')} are gone`, () => !list().some((p) => wanted.has(p.pid) && !p.zombie))
}

/**
 * Stops a process and its children (SIGSTOP) and returns all their pids. Repeated until
 * the listing is stable: a child may have been forked between the listing and the signal.
 */
export function freeze(parent: number): readonly number[] {
    signal(parent, 'SIGSTOP')
    const seen = new Set<number>()
    for (;;) {
        const fresh = childrenOf(parent).filter((pid) => !seen.has(pid))
        if (fresh.length === 0) return [parent, ...seen]
        for (const pid of fresh) {
            seen.add(pid)
            signal(pid, 'SIGSTOP')
        }
    }
}
