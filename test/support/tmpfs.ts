/** A file system of its own, to be full or read-only: only root may mount one, and not in every container. */
import { execFileSync, spawnSync } from 'node:child_process'

/** Mounts a tmpfs over an empty directory; false, loudly, where that is not allowed. The caller unmounts it. */
export function mountTmpfs(directory: string, options: string): boolean {
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'pgx-test', directory], { stdio: 'ignore' }).status === 0
    if (!mounted) console.error('    SKIPPED, nothing is proved: no right to mount a file system here')
    return mounted
}

export const unmount = (directory: string): void => void execFileSync('umount', [directory])
