import { expect } from 'chai'
import fc from 'fast-check'
import { EDGES, makeGid, mayFollow, parseGid, setId, type Phase } from '../../sidecar/protocol'
import { formatLine, parseLine, type BranchFacts, type StateEvent } from '../../sidecar/statelines'
import { World } from '../support/world'

const SEED = Number(process.env['PGLOBALXACT_FUZZ_SEED'] ?? Date.now() % 1_000_000_007)

const hex = (length: number): fc.Arbitrary<string> =>
    fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length })
/** Up to the last xid8 there is; a set id holds those of at most 19 digits. */
const anyXid = fc.oneof(
    fc.bigInt(1n, 10n ** 19n - 1n),
    fc.bigInt(1n, 1n << 33n),
    fc.bigInt(2n ** 64n - 3n, 2n ** 64n - 1n),
    fc.constant(10n ** 19n - 1n)
)
const xid = anyXid.filter((value) => value < 10n ** 19n).map(String)
const gid = fc.record({ coordinator: hex(8), xid, nonce: hex(8), node: fc.integer({ min: 1, max: 999_999_999 }) })

/** Gids as they should be, gids with something changed, and what looks like one from afar. */
const gidText = fc.oneof(
    gid.map(makeGid),
    gid.map(setId),
    fc
        .tuple(
            gid.map(makeGid),
            fc.nat(60),
            fc.nat(3),
            fc.oneof(fc.string({ unit: 'binary', maxLength: 3 }), fc.constantFrom('_', '0', 'A', '\n', '٣', '１', 'ａ', '\u0001'))
        )
        .map(([text, at, remove, insert]) => text.slice(0, at) + insert + text.slice(at + remove)),
    fc
        .tuple(
            fc.constantFrom('pgx', 'PGX', '', 'pgx_'),
            hex(8),
            anyXid.map(String),
            hex(8),
            fc.oneof(fc.nat().map(String), fc.constantFrom('0', '01', '1000000000', '4294967297', '-1', ''))
        )
        .map((parts) => parts.join('_')),
    fc
        .array(fc.constantFrom('pgx', '_', '__', '0', '00000001', 'cafe0123', '1', '18446744073709551615', ' ', 'é'), { maxLength: 9 })
        .map((all) => all.join('')),
    fc.string({ unit: 'binary', maxLength: 60 })
)

describe('properties that hold for any input', function () {
    before(() => console.log(`    PGLOBALXACT_FUZZ_SEED=${SEED}`))

    it('a gid that is made is taken apart again, and is the only text for its parts', () => {
        fc.assert(
            fc.property(gid, (parts) => void expect(parseGid(makeGid(parts))).to.deep.equal(parts)),
            { seed: SEED, numRuns: 5000 }
        )
        fc.assert(
            fc.property(gidText, (text) => {
                const parts = parseGid(text)
                if (parts !== undefined) expect(makeGid(parts)).to.equal(text)
            }),
            { seed: SEED, numRuns: 20_000 }
        )
    })

    describe('on a server', () => {
        let world: World
        before(async () => {
            world = await World.create({ name: 'props', bare: true })
        })
        after(() => world?.destroy())

        it('the sidecar and SQL read every text as the same gid, set id, or neither', async () => {
            const texts = fc.sample(gidText, { numRuns: 20_000, seed: SEED }).map((text) => text.replaceAll('\0', ''))
            const read = await world.sql<{ parts: (string | null)[] | null }>(
                `select (select array[p.coordinator, p.xid::text, p.nonce, p.node::text] from pglobalxact._parse_gid(t) p) as parts
                 from unnest($1::text[]) with ordinality u (t, i) order by i`,
                [texts]
            )
            let gids = 0
            for (const [index, text] of texts.entries()) {
                const there = read[index]!.parts
                const here = parseGid(text)
                const id = /^([1-9][0-9]{0,18})_([0-9a-f]{8})$/.exec(text)
                const expected = here
                    ? [here.coordinator, here.xid, here.nonce, String(here.node)]
                    : id && !/\n$/.test(text)
                      ? [null, id[1], id[2], null]
                      : null
                expect(there, JSON.stringify(text)).to.deep.equal(expected)
                if (here !== undefined) gids += 1
            }
            expect(gids).to.be.within(3000, 19_000)
        })
    })

    const odd = fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '=', '%', '%4', '/', '@', 'é', '😀', '\0', '\u2028', 'a') })
    )
    const optional = fc.option(odd, { nil: undefined })
    /** As nodeoptions.ts makes one of a foreign server's options, whatever they hold. */
    const uri = fc
        .tuple(odd, odd, odd)
        .map((parts) => parts.map((part) => encodeURIComponent(part)).join('/'))
        .map((text) => `postgresql://${text}`)
    const set = fc.record({ xid, nonce: hex(8) })
    const branchFacts: fc.Arbitrary<BranchFacts> = fc.record({
        node: fc.nat(),
        gid: gid.map(makeGid),
        uri,
        xid: optional,
        timeline: optional,
        owner: optional
    })
    const event: fc.Arbitrary<StateEvent> = fc.oneof(
        fc.record({ kind: fc.constant('header' as const), coordinator: hex(8), home: hex(16), segment: fc.nat() }),
        fc.record({ kind: fc.constant('compacted' as const), sets: fc.nat() }),
        fc.record({
            kind: fc.constant('phase' as const),
            set,
            phase: fc.constantFrom('commit' as const, 'incomplete' as const, 'complete' as const)
        }),
        fc.record({
            kind: fc.constant('branch' as const),
            set,
            branch: branchFacts,
            status: fc.constantFrom('pending' as const, 'committed' as const, 'rolled-back' as const, 'unknown' as const)
        })
    )
    const time = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') })

    it('a state line brings back its event, whatever its roles and addresses are called, in one line of plain text', () => {
        fc.assert(
            fc.property(event, time, (one, at) => {
                const line = formatLine(one, at)
                expect(line).to.match(/^[\x20-\x7e]+\n$/)
                expect(parseLine(line.slice(0, -1))).to.deep.equal(one)
            }),
            { seed: SEED, numRuns: 5000 }
        )
    })

    it('an address that would break the line is refused, not written', () => {
        const bad = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => !/^[\x21-\x7e]+$/.test(text))
        fc.assert(
            fc.property(event, bad, time, (one, text, at) => {
                if (one.kind !== 'branch') return
                expect(() => formatLine({ ...one, branch: { ...one.branch, uri: text } }, at)).to.throw(/plain text/)
                expect(() => formatLine({ ...one, branch: { ...one.branch, gid: text } }, at)).to.throw(/plain text/)
            }),
            { seed: SEED, numRuns: 2000 }
        )
    })

    it('phases follow each other as the design has them, on any walk', () => {
        // begin → prepare → (commit or rollback) → complete, incomplete between the last two; what is not reached or undone has no edge.
        const next = (from: Phase, to: Phase): boolean =>
            from === 'begin'
                ? to === 'prepare' || to === 'commit' || to === 'rollback'
                : from === 'prepare'
                  ? to === 'commit' || to === 'rollback'
                  : from === 'commit' || from === 'rollback'
                    ? to === 'incomplete' || to === 'complete'
                    : from === 'incomplete' && to === 'complete'
        const anyPhase = fc.constantFrom<Phase>('begin', 'prepare', 'commit', 'rollback', 'incomplete', 'complete')
        fc.assert(
            fc.property(anyPhase, anyPhase, (from, to) => void expect(mayFollow(from, to), `${from} to ${to}`).to.equal(next(from, to))),
            { seed: SEED, numRuns: 1000 }
        )
        fc.assert(
            fc.property(fc.infiniteStream(fc.nat()), (choices) => {
                const walk: Phase[] = ['begin']
                for (const choice of choices) {
                    const edges = EDGES.filter((edge) => edge.from === walk.at(-1))
                    if (edges.length === 0) break
                    walk.push(edges[choice % edges.length]!.to)
                    expect(walk.length, 'it ends').to.be.at.most(5)
                }
                expect(walk.at(-1)).to.equal('complete')
                expect(
                    walk.filter((phase) => phase === 'commit' || phase === 'rollback'),
                    'one decision'
                ).to.have.lengthOf(1)
            }),
            { seed: SEED, numRuns: 1000 }
        )
    })
})
