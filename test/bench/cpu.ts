/** CPU time of what takes part in a cell. */
import { cpuOf, cpuOfFamily } from '../support/proctree'
import type { Ground } from './ground'

export interface Cpu {
    readonly coordinator: number
    readonly nodes: number
    readonly sidecar: number
}

/** Microseconds so far. */
export function cpuOfGround({ coordinator, servers, sidecar }: Ground): Cpu {
    const of = (pid: number | undefined): number => (pid === undefined ? 0 : cpuOfFamily(pid))
    return {
        coordinator: of(coordinator.pid),
        nodes: servers.reduce((sum, server) => sum + of(server.pid), 0),
        sidecar: cpuOf(sidecar.pid)
    }
}
