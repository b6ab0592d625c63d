/** CPU time of process trees, from /proc: of those that live, and of children that have ended and were waited for. */
import { readFileSync } from 'node:fs'
import { childrenOf } from '../support/proctree'
import type { Ground } from './ground'

const TICK_US = 10_000 // USER_HZ is 100 wherever Linux runs

export interface Cpu {
    readonly coordinator: number
    readonly nodes: number
    readonly sidecar: number
}

/** utime, stime, and for a parent those of its ended children: fields 14 to 17 of proc(5). */
function ticks(pid: number, withEnded: boolean): number {
    try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        const fields = stat
            .slice(stat.lastIndexOf(')') + 2)
            .split(' ')
            .map(Number)
        return fields[11]! + fields[12]! + (withEnded ? fields[13]! + fields[14]! : 0)
    } catch {
        return 0
    }
}

const tree = (pid: number): number => [...childrenOf(pid)].reduce((sum, child) => sum + ticks(child, false), ticks(pid, true))

/** Microseconds so far. A backend has no children of its own: postmaster, its ended and its living children are all there is. */
export function cpuOf({ coordinator, servers, sidecar }: Ground): Cpu {
    const of = (pid: number | undefined): number => (pid === undefined ? 0 : tree(pid) * TICK_US)
    return {
        coordinator: of(coordinator.pid),
        nodes: servers.reduce((sum, server) => sum + of(server.pid), 0),
        sidecar: ticks(sidecar.pid, false) * TICK_US
    }
}
