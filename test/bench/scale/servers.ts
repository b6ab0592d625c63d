/** Servers of production-like settings for the measurements, a world on them, and what their processes cost. */
import { readFileSync } from 'node:fs'
import { cpuOf, cpuOfFamily } from '../../support/proctree'
import { startCluster, type Cluster, type Settings } from '../../support/cluster'

export const SETTINGS: Settings = {
    shared_buffers: '128MB',
    max_wal_size: '4GB',
    checkpoint_timeout: '30min', // none of the machine's own making in the middle of a measurement
    max_connections: 300,
    track_commit_timestamp: true
}

export async function startServers<N extends string>(
    names: readonly N[],
    more: Readonly<Record<string, Settings>> = {}
): Promise<Record<N, Cluster>> {
    const started = await Promise.all(
        names.map(async (name) => [name, await startCluster({ name, settings: { ...SETTINGS, ...more[name] } })] as const)
    )
    return Object.fromEntries(started) as Record<N, Cluster>
}

/** Processor seconds that a process has used. */
export const cpuOfProcess = (pid: number): number => cpuOf(pid) / 1e6

/** The same of a postmaster with all its backends, those included that have ended. */
export const cpuOfServer = ({ pid }: Cluster): number => (pid === undefined ? 0 : cpuOfFamily(pid) / 1e6)

/** Resident bytes. */
export const residentOf = (pid: number): number =>
    Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
