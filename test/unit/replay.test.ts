import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { Refusal } from '../../sidecar/refusal'
import { replay, segmentName, type Replayed } from '../../sidecar/replay'
import { formatLine, type StateEvent } from '../../sidecar/statelines'

const TIME = new Date('2024-02-03T04:05:06.789Z')
const header = (segment: number): StateEvent => ({ kind: 'header', coordinator: '0a1b2c3d', home: '0123456789abcdef', segment })

/** A set's lines, as the sidecar enters it: its branches, then the phase that closes them. */
function entered(xid: string, nodes: readonly number[]): StateEvent[] {
    const set = { xid, nonce: 'cafe0123' }
    const branches = nodes.map((node): StateEvent => ({
        kind: 'branch',
        set,
        status: 'pending',
        branch: {
            node,
            gid: `pgx_0a1b2c3d_${xid}_cafe0123_${node}`,
            uri: `postgresql://n${node}`,
            xid: `7${node}`,
            timeline: '00000001',
            owner: 'app'
        }
    }))
    return [...branches, { kind: 'phase', set, phase: 'commit' }]
}

const committed = (xid: string, node: number): StateEvent => ({ ...entered(xid, [node])[0], status: 'committed' }) as StateEvent
const phase = (xid: string, word: 'incomplete' | 'complete'): StateEvent => ({
    kind: 'phase',
    set: { xid, nonce: 'cafe0123' },
    phase: word
})
const textOf = (events: readonly StateEvent[]): string => events.map((event) => formatLine(event, TIME)).join('')

/** A file with a compacted part of one set, three more sets entered, one of them complete, one half done. */
const SAMPLE = [
    header(3),
    ...entered('100', [1, 2]),
    { kind: 'compacted', sets: 1 } as const,
    ...entered('200', [1, 2]),
    ...entered('300', [2]),
    committed('100', 1),
    phase('100', 'incomplete'),
    phase('200', 'complete'),
    ...entered('400', [1, 2, 3])
]

/** The branches and fates of each live set: what the sidecar would act on. */
const meaning = (read: Replayed): Record<string, string[]> =>
    Object.fromEntries(
        [...read.live].map(([id, { events }]) => [
            id,
            events.map((event) => (event.kind === 'branch' ? `${event.branch.gid} ${event.status}` : '')).filter((text) => text !== '')
        ])
    )

describe('replay of the state files', () => {
    let directory: string
    let path: string
    beforeEach(async () => {
        directory = await mkdtemp(join(tmpdir(), 'pgx-replay-'))
        path = join(directory, segmentName(3))
    })
    afterEach(() => rm(directory, { recursive: true }))

    const whole = textOf(SAMPLE)
    const WHOLE = {
        '100_cafe0123': [
            'pgx_0a1b2c3d_100_cafe0123_1 pending',
            'pgx_0a1b2c3d_100_cafe0123_2 pending',
            'pgx_0a1b2c3d_100_cafe0123_1 committed'
        ],
        '300_cafe0123': ['pgx_0a1b2c3d_300_cafe0123_2 pending'],
        '400_cafe0123': [
            'pgx_0a1b2c3d_400_cafe0123_1 pending',
            'pgx_0a1b2c3d_400_cafe0123_2 pending',
            'pgx_0a1b2c3d_400_cafe0123_3 pending'
        ]
    }

    it('finds nothing in an empty directory, and passes over files of other names', async () => {
        await writeFile(join(directory, 'home'), 'x')
        await writeFile(join(directory, 'state-1.log'), 'x')
        await writeFile(join(directory, 'state-0000000003.log.bak'), 'x')
        expect(await replay(directory)).to.deep.equal({ coordinator: undefined, live: new Map(), segment: 0, stale: [], torn: undefined })
    })

    it('brings back every set that is not complete, its lines in order', async () => {
        await writeFile(path, whole)
        const read = await replay(directory)
        expect(meaning(read)).to.deep.equal(WHOLE)
        expect(read).to.include({ coordinator: '0a1b2c3d', segment: 3, torn: undefined })
        expect(read.live.get('300_cafe0123')?.lines).to.deep.equal(
            textOf(entered('300', [2]))
                .trimEnd()
                .split('\n')
        )
    })

    it('believes the newest file alone, and names the others for removal', async () => {
        await writeFile(join(directory, segmentName(1)), 'damaged')
        await writeFile(join(directory, segmentName(2)), textOf([header(2), ...entered('999', [1]), { kind: 'compacted', sets: 1 }]))
        await writeFile(path, whole)
        await writeFile(join(directory, `${segmentName(4)}.new`), textOf([header(4), ...entered('888', [1])]))
        const read = await replay(directory)
        expect(meaning(read)).to.deep.equal(WHOLE)
        expect([...read.stale].sort()).to.deep.equal([segmentName(1), segmentName(2), segmentName(3), `${segmentName(4)}.new`])
    })

    it('orders files by number also where their names grow', async () => {
        await writeFile(join(directory, segmentName(9)), textOf([header(9), { kind: 'compacted', sets: 0 }]))
        await writeFile(join(directory, segmentName(10)), textOf([header(10), ...SAMPLE.slice(1)]))
        expect((await replay(directory)).segment).to.equal(10)
    })

    it('cut at any byte, refuses, or says where it was torn, or reads whole sets and no others', async () => {
        const bytes = Buffer.from(whole)
        const compacted = textOf(SAMPLE.slice(0, 5)).length
        let refused = 0
        for (let length = 0; length < bytes.length; length++) {
            await writeFile(path, bytes.subarray(0, length))
            const read = await replay(directory).catch((error: unknown) => error)
            if (read instanceof Refusal) {
                refused += 1
                expect(length, 'only a file without its compacted part is refused').to.be.below(compacted)
                continue
            }
            const { live, torn } = read as Replayed
            expect(length).to.be.at.least(compacted)
            for (const [id, { events }] of live) {
                const branches = events.filter((event) => event.kind === 'branch' && event.status === 'pending').length
                const all = { '100_cafe0123': 2, '200_cafe0123': 2, '300_cafe0123': 1, '400_cafe0123': 3 }[id]
                expect(branches, `${id} of a file of ${length} bytes`).to.equal(all)
            }
            if (bytes[length - 1] !== 10) expect(torn, `${length} bytes`).to.match(/state-0000000003\.log, line \d+$/)
        }
        expect(refused).to.equal(compacted)
    })

    it('drops a set whose lines a crash cut between two of them, and says so', async () => {
        await writeFile(path, textOf(SAMPLE.slice(0, -2)))
        const read = await replay(directory)
        expect([...read.live.keys()]).to.deep.equal(['100_cafe0123', '300_cafe0123'])
        expect(read.torn).to.match(/line 16$/)
    })

    it('with any one byte another, refuses: it never reads other sets', async () => {
        const bytes = Buffer.from(whole)
        for (let at = 0; at < bytes.length; at++) {
            for (const flip of [0x01, bytes[at]! ^ 10]) {
                if (flip === 0) continue
                const bad = Buffer.from(bytes)
                bad[at] = bad[at]! ^ flip
                await writeFile(path, bad)
                const error: unknown = await replay(directory).catch((refusal: unknown) => refusal)
                expect(error, `byte ${at} ^ ${flip}`).to.be.instanceOf(Refusal)
            }
        }
    }).timeout(60_000)

    it('refuses a file from which a line of the compacted part was taken out', async () => {
        const lines = SAMPLE.map((event) => formatLine(event, TIME))
        await writeFile(path, [lines[0], ...lines.slice(4)].join(''))
        expect(await replay(directory).catch((error: unknown) => error)).to.be.instanceOf(Refusal)
    })

    it('names file, line and remedy of what is damaged', async () => {
        const lines = whole.split('\n')
        lines[6] = lines[6]!.replace('pending', 'Pending')
        await writeFile(path, lines.join('\n'))
        const error: unknown = await replay(directory).catch((refusal: unknown) => refusal)
        expect(error).to.be.instanceOf(Refusal)
        expect((error as Refusal).message).to.equal(`${path}, line 7, is damaged: its checksum does not match, or the file ends too early`)
        expect((error as Refusal).hint).to.match(/restore the file/)
        expect((await readFile(path, 'utf8')).split('\n'), 'the file is left as it was').to.deep.equal(lines)
    })
})
