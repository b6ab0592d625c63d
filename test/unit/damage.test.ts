import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import fc from 'fast-check'
import { createFaultPoints } from '../../sidecar/fault'
import { createLog } from '../../sidecar/log'
import { Refusal } from '../../sidecar/refusal'
import { replay, segmentName, type Replayed } from '../../sidecar/replay'
import { StateFile } from '../../sidecar/statefile'
import { formatLine, type StateEvent } from '../../sidecar/statelines'

const FRAME = { coordinator: '0a1b2c3d', home: '0123456789abcdef' }
const SEED = Number(process.env['PGLOBALXACT_FUZZ_SEED'] ?? Date.now() % 1_000_000_007)

const key = (xid: number) => ({ xid: String(xid), nonce: 'cafe0123' })
const branch = (xid: number, node: number, status: 'pending' | 'committed' | 'rolled-back' | 'unknown' = 'pending'): StateEvent => ({
    kind: 'branch',
    set: key(xid),
    status,
    branch: {
        node,
        gid: `pgx_0a1b2c3d_${xid}_cafe0123_${node}`,
        uri: 'postgresql://sc@b/d',
        xid: String(xid * 10),
        timeline: '00000001',
        owner: 'two words'
    }
})
const phase = (xid: number, word: 'commit' | 'incomplete' | 'complete'): StateEvent => ({ kind: 'phase', set: key(xid), phase: word })
const entered = (xid: number, ...nodes: number[]): StateEvent[] => [...nodes.map((node) => branch(xid, node)), phase(xid, 'commit')]

/** What each file says, written by hand: the sets in it when it was compacted, then what happened. */
const STORIES: Readonly<Record<string, (state: StateFile) => Promise<void>>> = {
    'one set': (state) => state.append(entered(1, 1)),
    'sets pending, partly committed and complete': async (state) => {
        await state.append([...entered(1, 1, 2), ...entered(2, 1)])
        state.note([branch(1, 1, 'committed'), phase(1, 'incomplete'), branch(2, 1, 'committed'), phase(2, 'complete')])
        await state.append([...entered(3, 1, 2, 3)])
        state.note([branch(3, 2, 'rolled-back'), branch(3, 1, 'unknown')])
        await state.append(entered(4, 2))
    },
    'a compacted part and a second segment': async (state) => {
        for (let xid = 1; xid <= 12; xid++) {
            await state.append(entered(xid, 1, 2))
            if (xid % 3 > 0) state.note([branch(xid, 1, 'committed'), branch(xid, 2, 'committed'), phase(xid, 'complete')])
        }
    }
}

/** The live sets that whole lines tell of, read with no code of the sidecar's: set id → its lines, time and checksum left out. */
function told(text: string): Map<string, string[]> {
    const live = new Map<string, string[]>()
    for (const line of text.split('\n').slice(0, -1)) {
        const [id, , ...words] = line.split(' ').slice(0, -1)
        if (id === '-') continue
        if (words.join(' ') === 'phase complete') live.delete(id!)
        else live.set(id!, [...(live.get(id!) ?? []), words.join(' ')])
    }
    return live
}
const closed = (live: Map<string, string[]>): Map<string, string[]> =>
    new Map([...live].filter(([, lines]) => lines.some((line) => line.startsWith('phase'))))
const meaning = (read: Replayed): Map<string, string[]> =>
    new Map([...read.live].map(([id, { lines }]) => [id, lines.map((line) => line.split(' ').slice(2, -1).join(' '))]))

describe('damage to the state files', () => {
    let directory: string
    let path: string
    beforeEach(async () => {
        directory = await mkdtemp(join(tmpdir(), 'pgx-damage-'))
        path = ''
    })
    afterEach(() => rm(directory, { recursive: true }))

    async function tell(story: (state: StateFile) => Promise<void>, segmentBytes = 1500): Promise<Buffer> {
        const log = createLog(() => undefined)
        const fault = createFaultPoints('', async () => undefined)
        const state = StateFile.open(directory, FRAME, { segmentBytes }, await replay(directory), log, fault)
        await story(state)
        await state.close()
        const [name, ...others] = (await readdir(directory)).sort()
        expect(others).to.deep.equal([])
        path = join(directory, name!)
        return readFile(path)
    }
    const reading = async (bytes: Buffer): Promise<Replayed | Refusal> => {
        await writeFile(path, bytes)
        return replay(directory).catch((error: unknown) => {
            if (error instanceof Refusal) return error
            throw error
        })
    }
    const refusal = async (): Promise<Refusal> => {
        const error: unknown = await replay(directory).catch((one: unknown) => one)
        expect(error).to.be.instanceOf(Refusal)
        return error as Refusal
    }

    for (const [what, story] of Object.entries(STORIES)) {
        it(`${what}: with any byte another, refuses, and names file and line`, async () => {
            const whole = await tell(story)
            let line = 1
            for (let at = 0; at < whole.length; at++) {
                // One bit, a line break where none is or none where one is, and a digit or letter one off.
                for (const other of new Set([whole[at]! ^ 0x40, whole[at] === 10 ? 32 : 10, whole[at]! ^ 1])) {
                    const bad = Buffer.from(whole)
                    bad[at] = other
                    const read = await reading(bad)
                    expect(read, `byte ${at}: ${other}`).to.be.instanceOf(Refusal)
                    const named = /^(.*), line (\d+), is damaged/.exec((read as Refusal).message)
                    expect(named?.[1], `byte ${at}`).to.equal(path)
                    expect(Number(named![2]), `byte ${at} of line ${line}`).to.be.within(line, line + (whole[at] === 10 ? 1 : 0))
                }
                if (whole[at] === 10) line += 1
            }
        }).timeout(120_000)

        it(`${what}: cut at any length, has exactly what the whole lines tell, and says which line it dropped`, async () => {
            const whole = await tell(story)
            const text = whole.toString('latin1')
            const compacted = text.indexOf('\n', text.indexOf(' compacted sets=')) + 1
            expect(compacted).to.be.greaterThan(0)
            for (let length = 0; length < whole.length; length++) {
                const read = await reading(whole.subarray(0, length))
                if (length < compacted) {
                    expect(read, `${length} bytes`).to.be.instanceOf(Refusal)
                    continue
                }
                const left = told(text.slice(0, length))
                expect(read, `${length} bytes`).to.not.be.instanceOf(Refusal)
                expect(meaning(read as Replayed), `${length} bytes`).to.deep.equal(closed(left))
                // Silence only where a whole line is the last and each set is whole: nothing tells that from a shorter file.
                const silent = text[length - 1] === '\n' && closed(left).size === left.size
                expect((read as Replayed).torn === undefined, `${length} bytes`).to.equal(silent)
            }
        }).timeout(120_000)
    }

    it('of any kind and number never invents a set or a branch, nor another fate of one', async () => {
        const whole = await tell(STORIES['a compacted part and a second segment']!)
        const known = new Set<string>()
        for (const line of whole.toString('latin1').split('\n'))
            known.add(`${line.split(' ')[0]} ${line.split(' ').slice(2, -1).join(' ')}`)
        const place = fc.nat(whole.length)
        const wound = fc.oneof(
            fc.record({ kind: fc.constant('insert' as const), at: place, bytes: fc.uint8Array({ maxLength: 60 }) }),
            fc.record({ kind: fc.constant('remove' as const), at: place, length: fc.nat(400) }),
            fc.record({ kind: fc.constant('repeat' as const), at: place, length: fc.nat(400), to: place }),
            fc.record({ kind: fc.constant('lines' as const), from: fc.nat(60), to: fc.nat(60) })
        )
        const property = fc.asyncProperty(fc.array(wound, { minLength: 1, maxLength: 3 }), async (wounds) => {
            let bytes = whole
            for (const one of wounds) {
                if (one.kind === 'insert') bytes = Buffer.concat([bytes.subarray(0, one.at), one.bytes, bytes.subarray(one.at)])
                else if (one.kind === 'remove') bytes = Buffer.concat([bytes.subarray(0, one.at), bytes.subarray(one.at + one.length)])
                else if (one.kind === 'repeat')
                    bytes = Buffer.concat([bytes.subarray(0, one.to), bytes.subarray(one.at, one.at + one.length), bytes.subarray(one.to)])
                else {
                    const lines = bytes.toString('latin1').split('\n')
                    lines.splice(one.to, 0, ...lines.splice(one.from, 1))
                    bytes = Buffer.from(lines.join('\n'), 'latin1')
                }
            }
            const read = await reading(bytes)
            if (read instanceof Refusal) return
            for (const [id, lines] of meaning(read)) for (const line of lines) expect(known).to.include(`${id} ${line}`)
        })
        await fc.assert(property, { numRuns: 3000, seed: SEED })
    }).timeout(120_000)

    describe('as people and disks do it', () => {
        let next: string
        beforeEach(async () => {
            const whole = await tell(STORIES['sets pending, partly committed and complete']!, 100_000)
            next = `line ${whole.toString('latin1').split('\n').length}`
        })
        const truth = async (): Promise<Map<string, string[]>> => meaning(await replay(directory))

        it('a copy of a file under a newer name is refused: it may be an earlier state of things', async () => {
            await copyFile(path, join(directory, segmentName(9)))
            expect((await refusal()).message).to.equal(
                `${join(directory, segmentName(9))} is a copy of state-0000000001.log under another name`
            )
        })

        it('an older file, a damaged one, and a gap between them change nothing: the newest tells everything', async () => {
            const before = await truth()
            const frame = formatLine({ kind: 'header', ...FRAME, segment: 7 }, new Date())
            const text = (await readFile(path, 'latin1')).replace(/^.*\n/, frame)
            await writeFile(join(directory, segmentName(7)), text)
            await writeFile(join(directory, segmentName(3)), 'damaged')
            const read = await replay(directory)
            expect(meaning(read)).to.deep.equal(before)
            expect(read.segment).to.equal(7)
        })

        it("another coordinator's file, older or newer, stops the start: it is neither obeyed nor removed", async () => {
            const foreign = (segment: number): string =>
                formatLine({ kind: 'header', coordinator: 'ffffffff', home: FRAME.home, segment }, new Date()) +
                formatLine({ kind: 'compacted', sets: 0 }, new Date())
            await writeFile(join(directory, segmentName(0)), foreign(0))
            expect((await refusal()).message).to.match(
                /state-0000000000\.log belongs to coordinator ffffffff, the newest file here to 0a1b2c3d$/
            )
            await rm(join(directory, segmentName(0)))
            await writeFile(join(directory, segmentName(2)), foreign(2))
            expect((await refusal()).message).to.match(
                /state-0000000001\.log belongs to coordinator 0a1b2c3d, the newest file here to ffffffff$/
            )
        })

        it('a file without its header is refused: nobody would know whose sets they are', async () => {
            await writeFile(path, (await readFile(path, 'latin1')).replace(/^.*\n/, ''))
            expect((await refusal()).message).to.match(/line 1, is damaged/)
        })

        it('an empty file is refused', async () => {
            await writeFile(path, '')
            expect((await refusal()).message).to.match(/line 1, is damaged/)
        })

        it('a tail of zeros, room made ahead, is nothing, also before a line break that a crash left alone', async () => {
            const before = await truth()
            const whole = await readFile(path)
            await writeFile(path, Buffer.concat([whole, Buffer.alloc(4096)]))
            expect(meaning(await replay(directory))).to.deep.equal(before)
            expect((await replay(directory)).torn).to.equal(undefined)
            const blocks = Buffer.alloc(4096 + 512 - (whole.length % 512))
            await writeFile(path, Buffer.concat([whole, blocks, Buffer.from('\n')]))
            expect(meaning(await replay(directory))).to.deep.equal(before)
            expect((await replay(directory)).torn).to.equal(`${path}, ${next}`)
            await writeFile(path, Buffer.concat([Buffer.alloc(4096), whole]))
            expect((await refusal()).message).to.match(/line 1, is damaged/)
        })

        for (const [what, tail] of [
            ['bytes that are no UTF-8', Buffer.from([0xff, 0xfe, 0xc3, 0x28, 0x80])],
            ['100 MB without a line break', Buffer.alloc(100_000_000, 'x')]
        ] as const) {
            it(`a tail of ${what} is dropped, and said`, async () => {
                const before = await truth()
                await writeFile(path, Buffer.concat([await readFile(path), tail]))
                const read = await replay(directory)
                expect(meaning(read)).to.deep.equal(before)
                expect(read.torn).to.equal(`${path}, ${next}`)
            })

            it(`the same as a whole line, or before other lines, is refused`, async () => {
                const whole = await readFile(path)
                await writeFile(path, Buffer.concat([whole, tail, Buffer.from('\n')]))
                expect((await refusal()).message).to.contain(`${next}, is damaged`)
                await writeFile(path, Buffer.concat([tail, whole]))
                expect((await refusal()).message).to.match(/line 1, is damaged/)
            })
        }
    })
})
