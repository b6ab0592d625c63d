import fs from 'node:fs'
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { createFaultPoints } from '../../sidecar/fault'
import { createLog } from '../../sidecar/log'
import { replay, segmentName } from '../../sidecar/replay'
import { StateFile } from '../../sidecar/statefile'
import { formatLine, type StateEvent } from '../../sidecar/statelines'
import { until, within } from '../support/wait'

const FRAME = { coordinator: '0a1b2c3d', home: '0123456789abcdef' }

const set = (xid: number) => ({ xid: String(xid), nonce: 'cafe0123' })
const id = (xid: number): string => `${xid}_cafe0123`
const branch = (xid: number, status: 'pending' | 'committed' = 'pending'): StateEvent => ({
    kind: 'branch',
    set: set(xid),
    status,
    branch: { node: 1, gid: `pgx_0a1b2c3d_${id(xid)}_1`, uri: 'postgresql://b', xid: '7', timeline: '00000001', owner: 'app' }
})
const entered = (xid: number): StateEvent[] => [branch(xid), { kind: 'phase', set: set(xid), phase: 'commit' }]
const complete = (xid: number): StateEvent => ({ kind: 'phase', set: set(xid), phase: 'complete' })
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

describe('the state file', () => {
    let directory: string
    let state: StateFile
    let logged: string[]

    beforeEach(async () => {
        directory = await mkdtemp(join(tmpdir(), 'pgx-state-'))
        logged = []
        state = await reopen()
    })
    afterEach(async () => {
        await state.close()
        await rm(directory, { recursive: true, force: true })
    })

    async function reopen(segmentBytes = 4096): Promise<StateFile> {
        const log = createLog((line) => logged.push(line))
        return StateFile.open(
            directory,
            FRAME,
            { segmentBytes },
            await replay(directory),
            log,
            createFaultPoints('', async () => undefined)
        )
    }

    const files = async (): Promise<string[]> => (await readdir(directory)).sort()
    const sets = async (): Promise<string[]> => [...(await replay(directory)).live.keys()].sort()

    it('writes no file until a set is entered', async () => {
        await state.tidy()
        expect(await files()).to.deep.equal([])
    })

    it('has the lines in a private file when append resolves', async () => {
        await state.append(entered(1))
        expect(await files()).to.deep.equal([segmentName(1)])
        expect((await stat(join(directory, segmentName(1)))).mode & 0o777).to.equal(0o600)
        expect((await replay(directory)).live.get(id(1))?.lines).to.deep.equal(state.linesOf(id(1)))
        expect([state.sets, state.linesOf(undefined).length, state.linesOf('2_cafe0123').length]).to.deep.equal([1, 2, 0])
    })

    it('shares an fsync among all lines that wait', async () => {
        await state.append(entered(1))
        const syncs = await counting('datasync', () => Promise.all(range(500).map((xid) => state.append(entered(xid + 1)))))
        expect(syncs).to.be.within(1, 5)
        expect((await sets()).length).to.equal(501)
    })

    it('resolves no append before the fsync that covers it', async () => {
        await state.append(entered(1))
        const order: string[] = []
        await during(
            'datasync',
            async (original) => {
                await original()
                await new Promise((done) => setImmediate(done))
                order.push('synced')
            },
            async () => {
                await Promise.all([
                    state.append(entered(2)).then(() => order.push('2')),
                    state.append(entered(3)).then(() => order.push('3'))
                ])
            }
        )
        expect(order[0]).to.equal('synced')
        expect(order.indexOf('3')).to.be.greaterThan(order.lastIndexOf('synced') === 0 ? 0 : 1)
    })

    it('writes what is only noted with the next append or tidy, and nothing of a set that is complete', async () => {
        await state.append(entered(1))
        await state.append(entered(2))
        state.note([branch(1, 'committed')])
        expect((await replay(directory)).live.get(id(1))?.lines.length).to.equal(2)
        await state.tidy()
        expect((await replay(directory)).live.get(id(1))?.lines.length).to.equal(3)
        state.note([complete(1)])
        state.note([branch(1, 'committed'), { kind: 'phase', set: set(1), phase: 'incomplete' }])
        await state.tidy()
        expect(await sets()).to.deep.equal([id(2)])
        expect(state.linesOf(undefined).length).to.equal(2)
    })

    it('removes its files when no set is live, and starts a new one for the next', async () => {
        await state.append(entered(1))
        state.note([complete(1)])
        await state.tidy()
        expect(await files()).to.deep.equal([])
        expect([state.sets, state.bytes]).to.deep.equal([0, 0])
        await state.append(entered(2))
        expect(await files()).to.deep.equal([segmentName(2)])
        expect(await sets()).to.deep.equal([id(2)])
    })

    it('replaces a file that has grown past segment-bytes by one with the live sets alone', async () => {
        await state.append(entered(1))
        for (const xid of range(60)) {
            await state.append(entered(xid + 1))
            state.note([complete(xid + 1)])
        }
        await state.append(entered(100))
        const [name, ...others] = await files()
        expect(others).to.deep.equal([])
        expect(Number(name!.slice(6, 16))).to.be.within(2, 10)
        expect((await stat(join(directory, name!))).size).to.equal(state.bytes)
        expect(state.bytes).to.be.below(4096 + 1000)
        expect(await sets()).to.deep.equal([id(100), id(1)])
    })

    it('is not replaced again and again while more sets are live than segment-bytes hold', async () => {
        await Promise.all(range(100).map((xid) => state.append(entered(xid))))
        for (const xid of range(50)) await state.append(entered(1000 + xid))
        expect(Number((await files())[0]!.slice(6, 16)), 'segments written').to.be.below(5)
    })

    it('goes on over what a crash left: older files and unfinished ones go, live sets stay', async () => {
        await state.append(entered(1))
        await state.close()
        const text = await readFile(join(directory, segmentName(1)), 'latin1')
        const [header] = text.split('\n')
        const renumbered = formatLine({ kind: 'header', ...FRAME, segment: 7 }, new Date())
        await rename(join(directory, segmentName(1)), join(directory, segmentName(7)))
        await writeFile(join(directory, segmentName(7)), text.replace(`${header}\n`, renumbered))
        await writeFile(join(directory, segmentName(3)), 'left over')
        await writeFile(join(directory, segmentName(6)), text)
        await writeFile(join(directory, `${segmentName(8)}.new`), 'unfinished')
        state = await reopen()
        expect(state.sets).to.equal(1)
        await state.append(entered(2))
        expect(await files()).to.deep.equal([segmentName(8)])
        expect(await sets()).to.deep.equal([id(1), id(2)])
    })

    it('removes what a crash left when the sets it holds turn out to be complete', async () => {
        await state.append(entered(1))
        await state.close()
        state = await reopen()
        state.note([complete(1)])
        await state.tidy()
        expect(await files()).to.deep.equal([])
    })

    it('says nothing is safe while its directory is gone, and has every set in the one that replaces it', async () => {
        await state.append(entered(1))
        await rename(directory, `${directory}.gone`)
        let safe = false
        const appended = state.append(entered(2)).then(() => (safe = true))
        await until('the trouble is told', () => state.problem)
        expect(state.problem).to.match(/^state files cannot be written: ENOENT/)
        expect(safe).to.equal(false)
        await mkdir(directory, { mode: 0o700 })
        await appended
        expect(await sets()).to.deep.equal([id(1), id(2)])
        expect(state.problem).to.equal(undefined)
        expect(logged.map((line) => line.split(' ').slice(1).join(' '))).to.have.lengthOf(2)
        expect(logged[0]).to.match(/ error state files cannot be written .*ENOENT/)
        expect(logged[1]).to.match(/ info state files can be written again/)
        await rm(`${directory}.gone`, { recursive: true })
    })

    it('notices that its file was removed or replaced, and writes another', async () => {
        await state.append(entered(1))
        await rm(join(directory, segmentName(1)))
        await state.append(entered(2))
        expect(await sets()).to.deep.equal([id(1), id(2)])
        await rm(join(directory, segmentName(2)))
        await writeFile(join(directory, segmentName(2)), '')
        await state.append(entered(3))
        expect(await sets()).to.deep.equal([id(1), id(2), id(3)])
    })

    const failing = {
        write: (fail: () => void, work: () => Promise<unknown>) =>
            duringWrites((original) => {
                fail()
                return original()
            }, work),
        fsync: (fail: () => void, work: () => Promise<unknown>) =>
            during(
                'datasync',
                async (original) => {
                    fail()
                    await original()
                },
                work
            )
    }
    for (const [what, whileFailing] of Object.entries(failing)) {
        it(`gives the file up when ${what} fails, and resolves only when the lines stand in another`, async () => {
            await state.append(entered(1))
            let failures = 0
            await whileFailing(
                () => {
                    if (failures++ === 0) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
                },
                () => state.append(entered(2))
            )
            expect(failures).to.be.at.least(1)
            expect(await files()).to.deep.equal([segmentName(2)])
            expect(await sets()).to.deep.equal([id(1), id(2)])
        })
    }

    it('takes a short write for a failed one', async () => {
        await state.append(entered(1))
        let first = true
        await duringWrites(
            (original) => {
                const written = original()
                if (!first) return written
                first = false
                return 1
            },
            () => state.append(entered(2))
        )
        expect(await files()).to.deep.equal([segmentName(2)])
    })

    it('resolves no append when it is closed while the disk refuses', async () => {
        await state.append(entered(1))
        await rename(directory, `${directory}.gone`)
        let safe = false
        void state.append(entered(2)).then(() => (safe = true))
        await until('the trouble is told', () => state.problem)
        expect(
            await within(
                state.close().then(() => 'closed'),
                5000
            )
        ).to.equal('closed')
        expect(safe).to.equal(false)
        await rename(`${directory}.gone`, directory)
        expect(await sets()).to.include(id(1))
    })
})

type Method = 'datasync'

/** Runs `work` with what is appended to files going through `instead`. */
async function duringWrites(instead: (original: () => number) => number, work: () => Promise<unknown>): Promise<void> {
    const real = fs.writeSync
    fs.writeSync = ((...args: Parameters<typeof real>) => instead(() => real(...args))) as typeof real
    try {
        await work()
    } finally {
        fs.writeSync = real
    }
}

/** Runs `work` with a method of every open file replaced; `instead` gets the original call, and its answer counts unless undefined. */
async function during(
    method: Method,
    instead: (original: () => Promise<unknown>) => Promise<unknown>,
    work: () => Promise<unknown>
): Promise<void> {
    const probe = await open(__filename)
    const prototype = Object.getPrototypeOf(probe) as Record<Method, (this: FileHandle, ...args: unknown[]) => Promise<unknown>>
    await probe.close()
    const real = prototype[method]
    prototype[method] = async function (...args) {
        let answer: unknown
        const other = await instead(async () => (answer = await real.apply(this, args)))
        return other ?? answer
    }
    try {
        await work()
    } finally {
        prototype[method] = real
    }
}

async function counting(method: Method, work: () => Promise<unknown>): Promise<number> {
    let calls = 0
    await during(
        method,
        async (original) => {
            calls += 1
            await original()
        },
        work
    )
    return calls
}
