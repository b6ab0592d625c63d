import { expect } from 'chai'
import { cyclesOf } from '../../sidecar/cycles'
import { edgesOf, type Seen, type SeenSession, type SeenWait, type ServerLook, type SetInFlight } from '../../sidecar/waitgraph'

const OWN = '0a0a0a0a'
const TAG = 'abcdef01'
const NODES = ['coordinator', 'b', 'c', 'd']

const nameOf = (pid: number, coordinator = OWN, tag = TAG): string => `pgx_${coordinator}_${pid}_${tag}`
const idOf = (pid: number): string => `${pid}_00000000`

/** The set of local session `pid`, whose xid is the pid too; by default open for ten seconds. */
const set = (pid: number, more: Partial<SetInFlight> = {}): SetInFlight => ({
    set: idOf(pid),
    xid: String(pid),
    pid,
    nodes: [1, 2, 3],
    role: 'app',
    name: 'test',
    state: 'active',
    backend_start: 'then',
    age: 10_000,
    ...more
})

const session = (pid: number, name: string, more: Partial<SeenSession> = {}): SeenSession => ({
    pid,
    name,
    role: 'app',
    known: true,
    database: 'bank',
    here: true,
    state: 'active',
    backend_start: `start of ${pid}`,
    born: pid,
    age: 5000,
    xid: null,
    vxid: `${pid}/1`,
    ...more
})

const wait = (pid: number, ...blockers: readonly number[]): SeenWait => ({
    pid,
    leader: pid,
    vxid: `${pid}/1`,
    since: 'since',
    waited: 1000,
    target: 'row',
    lock: 'row',
    blockers,
    prepared: []
})

const look = (
    number: number,
    sessions: readonly SeenSession[],
    waits: readonly SeenWait[],
    more: Partial<ServerLook> = {}
): ServerLook => ({
    number,
    place: NODES[number]!,
    server: `server ${number}`,
    asked: 100_000,
    answered: 100_010,
    sessions,
    waits,
    ...more
})

const seen = (sets: readonly SetInFlight[], looks: readonly ServerLook[]): Seen => ({
    coordinator: OWN,
    tag: TAG,
    sets,
    asked: 100_000,
    answered: 100_010,
    looks
})

const told = (what: Seen): readonly string[] =>
    edgesOf(what).map(({ place, waiter, blocker }) => `${place}: ${waiter.label} > ${blocker.label}`)
const victims = (what: Seen): readonly (string | undefined)[] => cyclesOf(edgesOf(what)).map(({ victims: [first] }) => first?.label)

/** Sets 1 and 2, one waiting on b, the other on c. Sessions there have pids 11, 12, 21, 22: set, node. */
const B = [session(11, nameOf(1)), session(21, nameOf(2))] as const
const C = [session(12, nameOf(1)), session(22, nameOf(2))] as const
const CROSSED = [look(1, B, [wait(11, 21)]), look(2, C, [wait(22, 12)])] as const

describe('the graph of who waits for whom', () => {
    it('takes a set for one, wherever it waits', () => {
        const both = seen([set(1), set(2)], CROSSED)
        expect(told(both)).to.deep.equal([`b: ${idOf(1)} > ${idOf(2)}`, `c: ${idOf(2)} > ${idOf(1)}`])
        expect(victims(both)).to.deep.equal([idOf(2)])
    })

    it('leaves a cycle within one server to that server', () => {
        const local = seen([set(1), set(2)], [look(1, B, [wait(11, 21), wait(21, 11)])])
        expect(edgesOf(local)).to.have.length(2)
        expect(victims(local)).to.deep.equal([])
        const outsiders = seen([], [look(1, [session(7, 'psql'), session(8, 'psql')], [wait(7, 8), wait(8, 7)])])
        expect(victims(outsiders)).to.deep.equal([])
    })

    it('knows a set that waits for itself: its branch for its own session, on one server', () => {
        const here = look(0, [session(1, 'test')], [], { server: 'server 1' })
        const there = look(1, [session(11, nameOf(1)), session(1, 'test')], [wait(11, 1)])
        expect(victims(seen([set(1)], [here, there]))).to.deep.equal([idOf(1)])
    })

    it('shows a wait once that two nodes of one server show', () => {
        const elsewhere = B.map((one) => ({ ...one, here: false }))
        const twice = seen([set(1), set(2)], [look(3, elsewhere, [wait(11, 21)], { server: 'server 1' }), ...CROSSED])
        expect(told(twice)).to.have.length(2)
        expect(victims(twice)).to.deep.equal([idOf(2)])
    })

    const strangers: Readonly<Record<string, Partial<SeenSession>>> = {
        'a role the sidecar may not finish branches of': { known: false },
        'another database': { here: false },
        'a session of an earlier start of the server': { name: nameOf(1, OWN, '99999999') },
        'a copy of the coordinator': { name: nameOf(1, '0b0b0b0b') },
        'a transaction that began before the set': { age: 10_500 },
        'no transaction at all': { age: null }
    }
    for (const [what, more] of Object.entries(strangers)) {
        it(`does not take for a branch: ${what}`, () => {
            const b = look(1, [session(11, nameOf(1), more), B[1]], [wait(11, 21)])
            expect(victims(seen([set(1), set(2)], [b, CROSSED[1]]))).to.deep.equal([])
        })
    }

    it('does not take for a branch what a dropped connection left behind, when there is a newer one', () => {
        const b = look(1, [...B, session(13, nameOf(1), { born: 99 })], [wait(11, 21)])
        expect(victims(seen([set(1), set(2)], [b, CROSSED[1]]))).to.deep.equal([])
        const idle = look(1, [...B, session(13, nameOf(1), { born: 99, age: null })], [wait(11, 21)])
        expect(victims(seen([set(1), set(2)], [idle, CROSSED[1]]))).to.deep.equal([idOf(2)])
    })

    it('does not have a set wait whose session is idle: its statement was given up', () => {
        expect(victims(seen([set(1, { state: 'idle in transaction' }), set(2)], CROSSED))).to.deep.equal([])
        expect(victims(seen([set(1, { state: null }), set(2)], CROSSED))).to.deep.equal([idOf(2)])
    })

    it('does not have a set wait on a node on which it is not in flight', () => {
        expect(victims(seen([set(1, { nodes: [2] }), set(2)], CROSSED))).to.deep.equal([])
    })

    it('allows for the time that questions take when it compares ages', () => {
        const slow = [{ ...CROSSED[0], answered: 101_000 }, CROSSED[1]]
        const b = slow[0]!
        const older = { ...b, sessions: b.sessions.map((one) => ({ ...one, age: 10_900 })) }
        expect(victims(seen([set(1), set(2)], [older, slow[1]!]))).to.deep.equal([idOf(2)])
    })

    it('knows a prepared branch by its gid, unless somebody prepared it who could not be the set', () => {
        const prepared = (known: boolean) => {
            const gid = `pgx_${OWN}_2_00000000_1`
            const waits = [{ ...wait(11), prepared: [{ gid, role: 'app', database: 'bank', known }] }]
            return seen([set(1), set(2)], [look(1, [B[0]], waits), CROSSED[1]])
        }
        expect(victims(prepared(true))).to.deep.equal([idOf(2)])
        expect(victims(prepared(false))).to.deep.equal([])
        expect(told(prepared(false))[0]).to.equal(`b: ${idOf(1)} > pgx_${OWN}_2_00000000_1`)
    })

    it('knows a connection that a program enlisted, if it is named after the gid', () => {
        const b = look(1, [session(11, `pgx_${OWN}_1_00000000_1`), B[1]], [wait(11, 21)])
        const idle = seen([set(1, { state: 'idle in transaction' }), set(2)], [b, CROSSED[1]])
        expect(victims(idle)).to.deep.equal([idOf(2)])
        // The younger is idle: there is nothing to cancel in it.
        const c = look(2, [C[0], session(22, `pgx_${OWN}_2_00000000_2`)], [wait(22, 12)])
        expect(victims(seen([set(1), set(2, { state: 'idle in transaction' })], [CROSSED[0], c]))).to.deep.equal([idOf(1)])
    })

    it('goes over strangers, parallel workers and other coordinators’ sets, and never has them for victims', () => {
        const other = nameOf(77, '0b0b0b0b')
        const b = look(1, [...B, session(5, 'psql')], [wait(11, 5), { ...wait(6, 21), leader: 5 }])
        expect(victims(seen([set(1), set(2)], [b, CROSSED[1]]))).to.deep.equal([idOf(2)])
        const left = look(1, [B[0], session(91, other)], [wait(11, 91)])
        const right = look(2, [C[0], session(92, other)], [wait(92, 12)])
        const [cycle] = cyclesOf(edgesOf(seen([set(1)], [left, right])))
        expect([cycle!.victims.map(({ label }) => label), cycle!.foreign]).to.deep.equal([[idOf(1)], ['0b0b0b0b']])
    })

    it('ends a tangle with no more victims than it takes: the shortest cycles first', () => {
        // 1 > 2 > 3 > 1, and 1 > 2 > 1: without 2 none is left, though 3 is younger.
        const b = look(1, [...B, session(31, nameOf(3))], [wait(11, 21), wait(31, 11)])
        const c = look(2, [...C, session(32, nameOf(3))], [wait(22, 12, 32)])
        expect(victims(seen([set(1), set(2), set(3)], [b, c]))).to.deep.equal([idOf(2)])
    })

    it('counts a victim as gone, so that no cycle costs a second one', () => {
        const edges = edgesOf(seen([set(1), set(2)], CROSSED))
        expect(cyclesOf(edges, new Set([idOf(2)]))).to.deep.equal([])
    })

    it('tells one wait from the next: an edge is the same only for the same wait of the same transactions', () => {
        const [edge] = edgesOf(seen([set(1), set(2)], CROSSED))
        const changed: Readonly<Record<string, Seen>> = {
            'a later wait': seen([set(1), set(2)], [look(1, B, [{ ...wait(11, 21), since: 'later' }])]),
            'another lock': seen([set(1), set(2)], [look(1, B, [{ ...wait(11, 21), target: 'another' }])]),
            'the blocker in another transaction': seen(
                [set(1), set(2)],
                [look(1, [B[0], session(21, nameOf(2), { vxid: '21/2' })], [wait(11, 21)])]
            ),
            'the blocker with an xid': seen([set(1), set(2)], [look(1, [B[0], session(21, nameOf(2), { xid: '9' })], [wait(11, 21)])]),
            'a session that has the pid now': seen(
                [set(1), set(2)],
                [look(1, [B[0], session(21, nameOf(2), { backend_start: 'now' })], [wait(11, 21)])]
            ),
            'the next set of the same sessions': seen([set(1), set(2, { set: '3_00000000', xid: '3' })], [look(1, B, [wait(11, 21)])])
        }
        for (const [what, other] of Object.entries(changed)) expect(edgesOf(other)[0]!.identity, what).to.not.equal(edge!.identity)
        expect(edgesOf(seen([set(1), set(2)], CROSSED))[0]!.identity).to.equal(edge!.identity)
    })

    it('finds every cycle of a thousand sets at once, and none among a thousand that only queue', () => {
        const sets = Array.from({ length: 1000 }, (_, n) => set(n + 1))
        const at = (node: number) => sets.map(({ pid }) => session(pid * 10 + node, nameOf(pid)))
        const queue = seen(sets, [
            look(
                1,
                at(1),
                sets.slice(1).map(({ pid }) => wait(pid * 10 + 1, (pid - 1) * 10 + 1))
            )
        ])
        expect(victims(queue)).to.deep.equal([])
        const [odd, even] = [sets.filter(({ pid }) => pid % 2 === 1), sets.filter(({ pid }) => pid % 2 === 0)]
        const pairs = [
            look(
                1,
                at(1),
                odd.slice(0, 50).map(({ pid }) => wait(pid * 10 + 1, (pid + 1) * 10 + 1))
            ),
            look(
                2,
                at(2),
                even.slice(0, 50).map(({ pid }) => wait(pid * 10 + 2, (pid - 1) * 10 + 2))
            )
        ]
        expect([...victims(seen(sets, pairs))].sort()).to.deep.equal(
            even
                .slice(0, 50)
                .map(({ set: id }) => id)
                .sort()
        )
    })
})
