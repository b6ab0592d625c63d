import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { NO_FAULTS } from '../../sidecar/fault'
import { createLog } from '../../sidecar/log'
import { Refusal } from '../../sidecar/refusal'
import { replay } from '../../sidecar/replay'
import { StateFile } from '../../sidecar/statefile'
import { formatLine, type StateEvent } from '../../sidecar/statelines'

const FRAME = { coordinator: '0a1b2c3d', home: '0123456789abcdef' }
const SECTOR = 512

const id = (xid: number): string => `${xid}_cafe0123`
const set = (xid: number) => ({ xid: String(xid), nonce: 'cafe0123' })
const entered = (xid: number): StateEvent[] => [
    {
        kind: 'branch',
        set: set(xid),
        status: 'pending',
        branch: { node: 1, gid: `pgx_0a1b2c3d_${id(xid)}_1`, uri: 'postgresql://b', xid: '7', timeline: '00000001', owner: 'app' }
    },
    { kind: 'phase', set: set(xid), phase: 'commit' }
]
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index)

describe('the room made ahead in a state file', () => {
    let directory: string
    let state: StateFile | undefined
    beforeEach(async () => {
        directory = await mkdtemp(join(tmpdir(), 'pgx-room-'))
        const log = createLog(() => undefined)
        state = StateFile.open(directory, FRAME, { segmentBytes: 1 << 22 }, await replay(directory), log, NO_FAULTS)
    })
    afterEach(async () => {
        await state?.close()
        await rm(directory, { recursive: true })
    })

    const path = async (): Promise<string> => {
        const [name, ...others] = await readdir(directory)
        expect(others).to.deep.equal([])
        return join(directory, name!)
    }
    const ids = (live: ReadonlyMap<string, unknown>): number[] => [...live.keys()].map((one) => Number(one.split('_')[0]))

    it('is not made for a few sets', async () => {
        for (const xid of range(1, 10)) await state!.append(entered(xid))
        expect((await stat(await path())).size).to.equal(state!.bytes)
    })

    it('is zeros behind the text, written over by what is appended meanwhile and later, and gone when the file is closed', async () => {
        let longer = 0
        for (let xid = 1; xid <= 3000; xid += 3) {
            await Promise.all([0, 1, 2].map((more) => state!.append(entered(xid + more))))
            if (xid % 50 > 3) continue
            const bytes = await readFile(await path())
            if (bytes.length > state!.bytes) longer += 1
            expect(bytes.subarray(state!.bytes).every((byte) => byte === 0)).to.equal(true)
            const { live, torn } = await replay(directory)
            expect([ids(live), torn]).to.deep.equal([range(1, xid + 3), undefined])
        }
        expect(longer, 'times that there was room').to.be.above(10)
        const { bytes } = state!
        await state!.close()
        state = undefined
        expect((await stat(await path())).size).to.equal(bytes)
        expect(ids((await replay(directory)).live)).to.deep.equal(range(1, 3001))
    })

    /** The bytes of each write: the last is the one that a crash may tear. */
    async function writes(): Promise<{ readonly whole: Buffer; readonly begins: readonly number[] }> {
        await state!.append(entered(1))
        for (const xid of [100, 200, 300]) await state!.append(range(xid, xid + 20).flatMap(entered))
        await state!.close()
        state = undefined
        const whole = await readFile(await path())
        const text = whole.toString('latin1')
        const begins = [...text.matchAll(/^- \S+ write at=(\d+) /gm)].map(({ index, 1: at }) => {
            expect(Number(at)).to.equal(index)
            return index
        })
        expect(begins.length).to.equal(3)
        return { whole, begins: [...begins, whole.length] }
    }

    const reading = async (bytes: Buffer) => {
        await writeFile(await path(), bytes)
        return replay(directory).catch((error: unknown) => {
            if (error instanceof Refusal) return error
            throw error
        })
    }

    it('with any blocks of the last write missing, has what stands before the first of them, and says where', async () => {
        const { whole, begins } = await writes()
        const from = begins.at(-2)!
        const blocks = range(Math.floor(from / SECTOR), Math.ceil(whole.length / SECTOR))
        expect(blocks.length).to.be.within(8, 12)
        for (let missing = 1; missing < 2 ** blocks.length; missing++) {
            const torn = Buffer.concat([whole, Buffer.alloc(1000)])
            let first = whole.length
            blocks.forEach((block, bit) => {
                if ((missing & (1 << bit)) === 0) return
                const [begin, end] = [Math.max(block * SECTOR, from), Math.min((block + 1) * SECTOR, whole.length)]
                torn.fill(0, begin, end)
                first = Math.min(first, begin)
            })
            const read = await reading(torn)
            if (read instanceof Refusal) throw new Error(`${missing.toString(2)}: ${read.message}`)
            const left = whole.toString('latin1', 0, first).split('\n').slice(0, -1)
            const closed = left.flatMap((line) => /^(\d+)_\S+ \S+ phase commit/.exec(line)?.[1] ?? [])
            expect(ids(read.live), missing.toString(2)).to.deep.equal(closed.map(Number))
            const silent = first === from && torn.subarray(from).every((byte) => byte === 0)
            if (!silent && !(whole[first - 1] === 10 && torn.subarray(first).every((byte) => byte === 0)))
                expect(read.torn, missing.toString(2)).to.match(new RegExp(`, line ${left.length + 1}$`))
        }
    }).timeout(60_000)

    it('with a block of an earlier write missing, is refused: people had been told that it is safe', async () => {
        const { whole, begins } = await writes()
        for (let at = 0; at + SECTOR <= begins.at(-2)!; at += 64) {
            const bad = Buffer.from(whole)
            bad.fill(0, at, at + SECTOR)
            const read = await reading(bad)
            expect(read, `bytes ${at} to ${at + SECTOR}`).to.be.instanceOf(Refusal)
            const line = whole.toString('latin1', 0, at).split('\n').length
            expect((read as Refusal).message).to.contain(`, line ${line}, is damaged`)
        }
    })

    it('and lines taken out before the last write are noticed by its mark', async () => {
        const { whole, begins } = await writes()
        const lines = whole.toString('latin1', 0, begins.at(-2)).split('\n').slice(0, -1)
        const last = whole.toString('latin1', begins.at(-2))
        for (const index of lines.keys()) {
            const left = lines.filter((_, other) => other !== index)
            expect(await reading(Buffer.from(`${left.join('\n')}\n${last}`, 'latin1')), `line ${index + 1}`).to.be.instanceOf(Refusal)
        }
    })

    it('is not expected in a file of an earlier version, where zeros are damage as ever', async () => {
        const { whole, begins } = await writes()
        const unmarked = whole.toString('latin1', 0, begins[0])
        const header = formatLine({ kind: 'header', ...FRAME, segment: 1, unmarked: true }, new Date())
        const old = [...entered(5), ...entered(6)].map((event) => formatLine(event, new Date()))
        const text = unmarked.replace(/^.*\n/, header)
        const read = await reading(Buffer.from(text + old.join('')))
        if (read instanceof Refusal) throw read
        expect(ids(read.live)).to.deep.equal([1, 5, 6])
        expect(await reading(Buffer.from(`${text + old.slice(0, 2).join('')}\0\0\0\n`))).to.be.instanceOf(Refusal)
    })
})
