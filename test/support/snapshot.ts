/** A copy of a running server, as a snapshot of its disk gives: all of its processes stand still meanwhile. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startCluster, type Cluster } from './cluster'
import { copyDataDir } from './datadir'

export function cloneOf(original: Cluster, name: string): Promise<Cluster> {
    return startCluster({
        name,
        copyOf: { binaries: original.binaries, copyTo: (target: string) => frozenCopy(original, target) } as Cluster
    })
}

async function frozenCopy(original: Cluster, target: string): Promise<void> {
    original.pause()
    try {
        await copyDataDir(original.dataDir, target)
    } finally {
        original.resume()
    }
    await rm(join(target, 'postmaster.pid'))
}
