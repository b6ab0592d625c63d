import { expect } from 'chai'
import { EDGES, fateOf, gidPattern, makeGid, mayFollow, parseGid, setId, why, type Phase } from '../../sidecar/protocol'

const GID = { coordinator: '0a1b2c3d', xid: '1234567890123', nonce: 'deadbeef', node: 42 }
const TEXT = 'pgx_0a1b2c3d_1234567890123_deadbeef_42'
const PHASES: readonly Phase[] = ['begin', 'prepare', 'commit', 'rollback', 'incomplete', 'complete']

describe('the protocol module', () => {
    it('makes a gid from its parts and takes it apart again', () => {
        expect(makeGid(GID)).to.equal(TEXT)
        expect(parseGid(TEXT)).to.deep.equal(GID)
        expect(setId(GID)).to.equal('1234567890123_deadbeef')
    })

    it('keeps the longest gid far below the 199 bytes that PREPARE TRANSACTION takes', () => {
        const longest = { ...GID, xid: '9'.repeat(19), node: 999_999_999 }
        expect(parseGid(makeGid(longest))).to.deep.equal(longest)
        expect(Buffer.byteLength(makeGid(longest))).to.be.below(60)
    })

    const strangers: readonly (readonly [string, string])[] = [
        ['nothing', ''],
        ['a set id', '1234567890123_deadbeef'],
        ["another manager's gid", '131077_AAAAAAAAAAAAAP//fwAAAQ==_AAAA'],
        ['a gid with text before it', `x${TEXT}`],
        ['a gid with text behind it', `${TEXT} `],
        ['a gid with a line break behind it', `${TEXT}\n`],
        ['upper case digits', TEXT.replace('deadbeef', 'DEADBEEF')],
        ['a short coordinator id', TEXT.replace('0a1b2c3d', '0a1b2c3')],
        ['a long nonce', TEXT.replace('deadbeef', 'deadbeef0')],
        ['an xid with a leading zero', TEXT.replace('_1234', '_01234')],
        ['a negative xid', TEXT.replace('_1234', '_-1234')],
        ['an xid of twenty digits', TEXT.replace('1234567890123', '1'.repeat(20))],
        ['node 0', TEXT.replace(/42$/, '0')],
        ['a node number too long for an integer', TEXT.replace(/42$/, '1234567890')],
        ['no node', TEXT.replace(/_42$/, '')]
    ]
    for (const [what, text] of strangers) {
        it(`takes ${what} for a stranger's`, () => expect(parseGid(text)).to.equal(undefined))
    }

    it('never takes a gid with one character changed for the same gid', () => {
        for (let at = 0; at < TEXT.length; at++) {
            for (const other of ['_', '0', '1', '9', 'a', 'f', 'g', 'P', ' ', '\n', '\0', 'é']) {
                if (TEXT[at] === other) continue
                expect(parseGid(TEXT.slice(0, at) + other + TEXT.slice(at + 1)), `${other} at ${at}`).to.not.deep.equal(GID)
            }
        }
    })

    it('escapes the underscores of the LIKE pattern, which are wildcards', () => {
        expect(gidPattern('0a1b2c3d')).to.equal('pgx\\_0a1b2c3d\\_%')
    })

    it('has a sentence for every edge, each edge once', () => {
        expect(new Set(EDGES.map((edge) => `${edge.from} ${edge.to}`)).size).to.equal(EDGES.length)
        for (const edge of EDGES) {
            expect(why(edge.from, edge.to)).to.equal(edge.because)
            expect(edge.because).to.match(/^[a-z][a-z ,:]{20,}$/)
        }
    })

    it('knows no other edges, none out of complete, and none from commit to rollback or back', () => {
        const named = EDGES.map((edge) => `${edge.from} ${edge.to}`)
        for (const from of PHASES) {
            for (const to of PHASES) expect(mayFollow(from, to), `${from} to ${to}`).to.equal(named.includes(`${from} ${to}`))
        }
        for (const to of PHASES) expect(mayFollow('complete', to)).to.equal(false)
        expect(mayFollow('commit', 'rollback')).to.equal(false)
        expect(mayFollow('rollback', 'commit')).to.equal(false)
        expect(why('complete', 'begin')).to.equal('complete does not lead to begin')
    })

    it('can reach complete from every phase', () => {
        const reaches = (from: Phase, seen: readonly Phase[] = []): boolean =>
            from === 'complete' || EDGES.some((edge) => edge.from === from && !seen.includes(edge.to) && reaches(edge.to, [...seen, from]))
        for (const phase of PHASES) expect(reaches(phase), phase).to.equal(true)
    })

    it('names the fate that an action leads to', () => {
        expect([fateOf('commit'), fateOf('rollback')]).to.deep.equal(['committed', 'rolled back'])
    })
})
