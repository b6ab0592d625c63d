import { expect } from 'chai'
import { formatLine, parseLine, type BranchFacts, type StateEvent } from '../../sidecar/statelines'

const TIME = new Date('2024-02-03T04:05:06.789Z')
const SET = { xid: '771', nonce: 'cafe0123' }
const BRANCH: BranchFacts = {
    node: 2,
    gid: 'pgx_0a1b2c3d_771_cafe0123_2',
    uri: 'postgresql://node_sidecar@127.0.0.1:5432/bank',
    xid: '99',
    timeline: '00000001',
    owner: 'node_app'
}
const EVENTS: readonly (readonly [string, StateEvent])[] = [
    ['a header', { kind: 'header', coordinator: '0a1b2c3d', home: '0123456789abcdef', segment: 7 }],
    ['the end of the compacted part', { kind: 'compacted', sets: 0 }],
    ['the mark of a write', { kind: 'write', at: 12345 }],
    [
        'a header of a file without such marks',
        { kind: 'header', coordinator: '0a1b2c3d', home: '0123456789abcdef', segment: 7, unmarked: true }
    ],
    ['phase commit', { kind: 'phase', set: SET, phase: 'commit' }],
    ['phase incomplete', { kind: 'phase', set: SET, phase: 'incomplete' }],
    ['phase complete', { kind: 'phase', set: SET, phase: 'complete' }],
    ['a pending branch', { kind: 'branch', set: SET, branch: BRANCH, status: 'pending' }],
    ['a committed branch', { kind: 'branch', set: SET, branch: BRANCH, status: 'committed' }],
    ['a rolled back branch', { kind: 'branch', set: SET, branch: BRANCH, status: 'rolled-back' }],
    ['a branch of unknown fate', { kind: 'branch', set: SET, branch: BRANCH, status: 'unknown' }],
    [
        'an enlisted branch that was not verified',
        { kind: 'branch', set: SET, branch: { ...BRANCH, xid: undefined, timeline: undefined, owner: undefined }, status: 'pending' }
    ]
]

const read = (line: string): StateEvent | undefined => parseLine(line.replace(/\n$/, ''))

describe('a state line', () => {
    it('reads as its documented form', () => {
        const [, phase] = EVENTS[4]!
        const [, branch] = EVENTS[7]!
        expect(formatLine(phase, TIME)).to.match(/^771_cafe0123 2024-02-03T04:05:06\.789Z phase commit [0-9a-f]{8}\n$/)
        expect(formatLine(branch, TIME)).to.match(
            /^771_cafe0123 2024-02-03T04:05:06\.789Z commit postgresql:\/\/node_sidecar@127\.0\.0\.1:5432\/bank pgx_0a1b2c3d_771_cafe0123_2 pending node=2 xid=99 timeline=00000001 owner=node_app [0-9a-f]{8}\n$/
        )
    })

    for (const [what, event] of EVENTS) {
        it(`brings back ${what}`, () => expect(read(formatLine(event, TIME))).to.deep.equal(event))
    }

    for (const owner of ['two words', 'a=b', 'líne\nbreak', 'tab\there', '100%', '%41', '"quoted"', 'é✓😀', '']) {
        it(`brings back an owner called ${JSON.stringify(owner)}, on one line of plain text`, () => {
            const event: StateEvent = { kind: 'branch', set: SET, branch: { ...BRANCH, owner }, status: 'pending' }
            const line = formatLine(event, TIME)
            expect(line).to.match(/^[\x20-\x7e]+\n$/)
            expect(read(line)).to.deep.equal(event)
        })
    }

    it('is not read when any one byte of it is another', () => {
        for (const [what, event] of EVENTS) {
            const line = Buffer.from(formatLine(event, TIME).trimEnd(), 'latin1')
            for (let at = 0; at < line.length; at++) {
                for (let flip = 1; flip < 256; flip++) {
                    const bad = Buffer.from(line)
                    bad[at] = bad[at]! ^ flip
                    // A line break would make two lines of it: neither may be read.
                    for (const part of bad.toString('latin1').split('\n'))
                        expect(parseLine(part), `${what}, byte ${at} ^ ${flip}`).to.equal(undefined)
                }
            }
        }
    })

    it('is not read when it is cut anywhere, or has a byte too many', () => {
        for (const [what, event] of EVENTS) {
            const line = formatLine(event, TIME).trimEnd()
            for (let length = 0; length < line.length; length++)
                expect(parseLine(line.slice(0, length)), `${what}, ${length} bytes`).to.equal(undefined)
            for (const more of ['0', ' ', 'x', '\0', '\r']) {
                expect(parseLine(line + more), what).to.equal(undefined)
                expect(parseLine(more + line), what).to.equal(undefined)
            }
        }
    })

    it('is not read when its checksum is right and its form is not', () => {
        const bodies = [
            '',
            ' ',
            '771_cafe0123',
            '771_cafe0123 2024-02-03T04:05:06.789Z',
            '771_cafe0123 2024-02-03T04:05:06.789Z phase',
            '771_cafe0123 2024-02-03T04:05:06.789Z phase begin',
            '771_cafe0123 2024-02-03T04:05:06.789Z phase commit twice',
            '0_cafe0123 2024-02-03T04:05:06.789Z phase commit',
            'x 2024-02-03T04:05:06.789Z phase commit',
            `771_cafe0123 2024-02-03T04:05:06.789Z commit ${BRANCH.uri} ${BRANCH.gid}`,
            `771_cafe0123 2024-02-03T04:05:06.789Z commit ${BRANCH.uri} ${BRANCH.gid} pending`,
            `771_cafe0123 2024-02-03T04:05:06.789Z commit ${BRANCH.uri} ${BRANCH.gid} pending node=`,
            `771_cafe0123 2024-02-03T04:05:06.789Z commit ${BRANCH.uri} ${BRANCH.gid} pending node=x`,
            `771_cafe0123 2024-02-03T04:05:06.789Z commit ${BRANCH.uri} ${BRANCH.gid} done node=2`,
            `771_cafe0123 2024-02-03T04:05:06.789Z commit ${BRANCH.uri} ${BRANCH.gid} pending node=2 owner=%zz`,
            `771_cafe0123 2024-02-03T04:05:06.789Z rollback ${BRANCH.uri} ${BRANCH.gid} pending node=2`,
            '- 2024-02-03T04:05:06.789Z pglobalxact-state 3 coordinator=0a1b2c3d home=0123456789abcdef segment=7',
            '- 2024-02-03T04:05:06.789Z pglobalxact-state 1 coordinator=0a1b2c3d segment=7',
            '- 2024-02-03T04:05:06.789Z pglobalxact-state 1 coordinator=0a1b2c3d home=0123456789abcdef segment=x',
            '- 2024-02-03T04:05:06.789Z compacted sets=many',
            '- 2024-02-03T04:05:06.789Z write at=x',
            '- 2024-02-03T04:05:06.789Z write',
            '- 2024-02-03T04:05:06.789Z something else'
        ]
        for (const body of bodies) expect(parseLine(`${body} ${crc(body)}`), body).to.equal(undefined)
    })

    it('closes with the CRC-32 that every other program computes', () => {
        // The check value of CRC-32/ISO-HDLC: the files can be verified without this project.
        expect(crc('123456789')).to.equal('cbf43926')
        const line = formatLine(EVENTS[4]![1], TIME).trimEnd()
        expect(line.slice(-8)).to.equal(crc(line.slice(0, -9)))
    })
})

/** CRC-32 written out, not the library's: so that the two must agree. */
function crc(text: string): string {
    let sum = 0xffffffff
    for (const byte of Buffer.from(text)) {
        sum ^= byte
        for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0)
    }
    return ((sum ^ 0xffffffff) >>> 0).toString(16).padStart(8, '0')
}
