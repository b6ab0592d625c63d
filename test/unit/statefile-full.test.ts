import { mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { createFaultPoints } from '../../sidecar/fault'
import { createLog } from '../../sidecar/log'
import { replay } from '../../sidecar/replay'
import { StateFile } from '../../sidecar/statefile'
import type { StateEvent } from '../../sidecar/statelines'
import { mountTmpfs, unmount } from '../support/tmpfs'
import { until } from '../support/wait'

const entered = (xid: number): StateEvent[] => [
    {
        kind: 'branch',
        set: { xid: String(xid), nonce: 'cafe0123' },
        status: 'pending',
        branch: { node: 1, gid: `pgx_0a1b2c3d_${xid}_cafe0123_1`, uri: 'postgresql://b', xid: '7', timeline: '00000001', owner: 'app' }
    },
    { kind: 'phase', set: { xid: String(xid), nonce: 'cafe0123' }, phase: 'commit' }
]

/** A full disk, made of a file system of 256 kB in memory: only root may mount one. */
describe('the state file on a full disk', () => {
    let directory: string
    let state: StateFile

    before(async function () {
        directory = await mkdtemp(join(tmpdir(), 'pgx-full-'))
        if (mountTmpfs(directory, 'size=256k,mode=0700')) return
        await rm(directory, { recursive: true })
        this.skip()
    })
    after(async function () {
        if (state === undefined) return
        await state.close()
        unmount(directory)
        await rm(directory, { recursive: true })
    })

    it('waits, tells nobody that a line is safe, and goes on when there is room', async () => {
        const log = createLog(() => undefined)
        state = StateFile.open(
            directory,
            { coordinator: '0a1b2c3d', home: '0123456789abcdef' },
            { segmentBytes: 1 << 20 },
            await replay(directory),
            log,
            createFaultPoints('', async () => undefined)
        )
        await state.append(entered(1))
        const ballast = join(directory, 'ballast')
        await fill(ballast)

        const safe = new Set<number>()
        const appends = Array.from({ length: 200 }, (_, index) => state.append(entered(index + 2)).then(() => safe.add(index + 2)))
        await until('the trouble is told', () => state.problem)
        expect(state.problem).to.match(/ENOSPC|short write/)
        const onDisk = new Set([...(await replay(directory)).live.keys()].map((id) => Number(id.split('_')[0])))
        for (const xid of [1, ...safe]) expect(onDisk.has(xid), `set ${xid}, reported safe`).to.equal(true)
        expect(safe.size).to.be.below(200)

        await rm(ballast)
        await Promise.all(appends)
        expect((await replay(directory)).live.size).to.equal(201)
        expect(state.problem).to.equal(undefined)
    })
})

async function fill(path: string): Promise<void> {
    await writeFile(path, '')
    const file = await open(path, 'a')
    try {
        for (;;) await file.write(Buffer.alloc(4096))
    } catch (error) {
        expect((error as NodeJS.ErrnoException).code).to.equal('ENOSPC')
    } finally {
        await file.close()
    }
    expect((await stat(path)).size).to.be.greaterThan(100_000)
}
