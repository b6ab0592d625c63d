/** A hundred thousand live lines of state, read back as at a start. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { replay } from '../../../sidecar/replay'
import { target, type Part } from './figures'
import { writeState } from './statefiles'

const BRANCHES = 2
const COORDINATOR = '0a1b2c3d'

export async function measureReplay({ lines, rounds }: { readonly lines: number; readonly rounds: number }): Promise<Part> {
    const directory = mkdtempSync(join(tmpdir(), 'pgx-replay-'))
    const sets = Math.ceil(lines / (BRANCHES + 1))
    writeFileSync(join(directory, 'home'), '0123456789abcdef\n')
    const written = writeState(
        directory,
        COORDINATOR,
        Array.from({ length: sets }, (_, index) => decided(index))
    )
    const times: number[] = []
    for (let round = 0; round < rounds; round++) {
        const began = performance.now()
        const { live } = await replay(directory)
        times.push(performance.now() - began)
        if (live.size !== sets) throw new Error(`${live.size} sets of ${sets} were read back`)
    }
    rmSync(directory, { recursive: true })
    return {
        item: 'replay',
        title: `${written} live lines of state`,
        how: `${sets} sets of ${BRANCHES} branches, in a process that has read none before the first round.`,
        figures: [
            target('read back', times, 0, ' ms', { atMost: 1000 }),
            target('the first, cold', times.slice(0, 1), 0, ' ms', { atMost: 1000 })
        ],
        rounds: times,
        at: new Date().toISOString()
    }
}

function decided(index: number): Parameters<typeof writeState>[2][number] {
    const set = { xid: String(1_000_000 + index), nonce: 'cafe0123' }
    const uri = 'postgresql://node_sidecar@node.example.com:5432/bank'
    const branches = Array.from({ length: BRANCHES }, (_, one) => ({
        node: one + 1,
        gid: `pgx_${COORDINATOR}_${set.xid}_${set.nonce}_${one + 1}`,
        uri,
        xid: String(2_000_000 + index),
        timeline: '00000001',
        owner: 'app'
    }))
    return { set, branches }
}
