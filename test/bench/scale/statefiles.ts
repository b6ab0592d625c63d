/** A state file as the sidecar writes it, with sets of our own in it. */
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SetKey } from '../../../sidecar/protocol'
import { segmentName } from '../../../sidecar/replay'
import { formatLine, type BranchFacts } from '../../../sidecar/statelines'

export interface DecidedSet {
    readonly set: SetKey
    readonly branches: readonly BranchFacts[]
}

/** Returns the lines of sets in it. */
export function writeState(directory: string, coordinator: string, sets: readonly DecidedSet[]): number {
    const now = new Date()
    const home = readFileSync(join(directory, 'home'), 'utf8').trim()
    const lines = sets.flatMap(({ set, branches }) => [
        ...branches.map((branch) => formatLine({ kind: 'branch', set, branch, status: 'pending' }, now)),
        formatLine({ kind: 'phase', set, phase: 'commit' }, now)
    ])
    const frame = formatLine({ kind: 'header', coordinator, home, segment: 1 }, now)
    const end = formatLine({ kind: 'compacted', sets: sets.length }, now)
    writeFileSync(join(directory, segmentName(1)), frame + lines.join('') + end, { mode: 0o600 })
    return lines.length
}

/** Everything but the directory's id. */
export function clearState(directory: string): void {
    for (const name of readdirSync(directory)) if (name.startsWith('state-')) rmSync(join(directory, name))
}
