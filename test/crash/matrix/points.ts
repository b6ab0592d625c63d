/**
 * The failure table, declared once: every point at which something may die, how it is reached, and what must become of the
 * set, whoever dies there. matrix.test.ts makes a test of each point with each party and each pair of them.
 */
import type { FaultPoint } from '../../../sidecar/fault'
import type { Party } from './parties'
import {
    answerLost,
    atSqlPoint,
    atVerdict,
    committedThen,
    duringOrder,
    inLocalCommit,
    onceMore,
    orphaned,
    twoLives,
    type Scene
} from './scenes'

export type Outcome = 'committed' | 'rolled back'
/** "either": the answer of a node that died then may have reached the session or not; all must agree all the same. */
export type Expected = Outcome | 'either'

export interface Point {
    /** Ends the sentence "dies …": what has and has not happened. */
    readonly when: string
    /** Fault point of the local COMMIT, or of the sidecar. Without either it is reached by means of the servers or the network. */
    readonly sql?: string
    readonly sidecar?: FaultPoint
    readonly scene: Scene
    /** Nodes that die there; c unless said otherwise. */
    readonly nodes?: readonly Party[]
    /** Also the gentler deaths: session terminated, client killed, coordinator stopped immediately. */
    readonly gentle?: boolean
    expected(dead: ReadonlySet<Party>): Expected
}

const always =
    (outcome: Outcome): Point['expected'] =>
    () =>
        outcome

const LOCAL: readonly Party[] = ['session', 'coordinator', 'terminated session', 'stopped coordinator']

/** A local transaction that has not committed dies with its session, and with the coordinator. */
const undecided =
    (ifNode: Partial<Record<Party, Expected>>): Point['expected'] =>
    (dead) => {
        if (LOCAL.some((party) => dead.has(party))) return 'rolled back'
        const fates = (['node b', 'node c'] as const).filter((node) => dead.has(node)).map((node) => ifNode[node] ?? 'committed')
        return fates.find((fate) => fate === 'rolled back') ?? fates.find((fate) => fate === 'either') ?? 'committed'
    }

const BOTH: readonly Party[] = ['node b', 'node c']

const IN_THE_COMMIT: readonly Point[] = [
    {
        when: 'before any PREPARE is sent',
        sql: 'before prepares',
        scene: atSqlPoint({ prepared: 0 }),
        expected: undecided({ 'node b': 'rolled back', 'node c': 'rolled back' })
    },
    {
        when: 'between two PREPAREs',
        sql: 'between prepares',
        scene: atSqlPoint({ prepared: 1 }),
        nodes: BOTH,
        expected: undecided({ 'node b': 'either', 'node c': 'rolled back' })
    },
    {
        when: 'when the nodes have prepared and their answers are not read',
        sql: 'answers unread',
        scene: atSqlPoint({ prepared: 2 }),
        expected: undecided({ 'node b': 'either', 'node c': 'either' })
    },
    {
        when: 'when one branch is prepared and a node that was only read is not yet let go',
        sql: 'between waves',
        scene: atSqlPoint({ prepared: 1, reads: 'c' }),
        expected: undecided({ 'node c': 'rolled back' })
    },
    {
        when: 'when one node has refused to prepare and the other is not yet rolled back',
        sql: 'before undo',
        scene: atSqlPoint({ prepared: 1, refuses: 'c' }),
        nodes: BOTH,
        expected: always('rolled back')
    },
    {
        when: 'after all PREPAREs',
        sql: 'after prepares',
        scene: atSqlPoint({ prepared: 2 }),
        expected: undecided({})
    },
    {
        when: 'with the bell rung, before the local commit',
        sql: 'before local commit',
        scene: atSqlPoint({ prepared: 2 }),
        expected: undecided({})
    },
    {
        when: 'when the local commit is on disk and nobody sees it yet',
        scene: inLocalCommit,
        expected: always('committed')
    },
    {
        when: 'after the local commit, before its client hears',
        scene: answerLost,
        expected: always('committed')
    }
]

const stops = (sidecar: FaultPoint, when: string, scene: Scene, more: Partial<Point> = {}): Point => ({
    when,
    sidecar,
    scene,
    expected: always('committed'),
    ...more
})

const IN_THE_SIDECAR: readonly Point[] = [
    stops('before state line', 'before the state line is written', committedThen()),
    stops('before fsync', 'before the state line is on disk', committedThen()),
    stops('before rename', 'before the new state file has its name', committedThen()),
    stops('after state line', 'after the state line, before anything is sent', committedThen()),
    stops('commit unread', 'after a node has committed, before its answer is read', committedThen({ prepared: 1 }), { nodes: BOTH }),
    stops('between commits', 'between two COMMIT PREPAREDs', committedThen({ prepared: 1 }), { nodes: BOTH }),
    stops('before write-back', 'before the write-back', committedThen({ prepared: 0 })),
    stops('after write-back', 'after the write-back, before the state files say so', committedThen({ prepared: 0 })),
    stops('before removal', 'before the state files are removed', committedThen({ prepared: 0 })),
    stops('during replay', 'while a new sidecar reads the state files', twoLives('after state line')),
    stops('after replay', 'when a new sidecar has taken up what the state files say', twoLives('after state line')),
    stops('during compaction', 'when the new state file is complete and the old one is still there', onceMore('after state line')),
    stops('after fence', 'when a new sidecar holds the fence of a node, before it looks there', twoLives('before state line')),
    stops('before look-up', 'when a branch is gone and its fate is not yet looked up', twoLives('commit unread')),
    stops('before verdict', 'between the look at a node and the look at the commit record', atVerdict, { expected: undecided({}) }),
    stops('before rollback', 'before ROLLBACK PREPARED is sent', orphaned(), { expected: always('rolled back') }),
    stops('rollback unread', 'after a node has rolled back, before its answer is read', orphaned({ gone: true }), {
        expected: always('rolled back'),
        nodes: BOTH
    }),
    stops('before order', 'before a forced outcome is on record', duringOrder, { expected: always('rolled back') }),
    stops('after order', 'when a forced outcome is on record and not carried out', duringOrder, { expected: always('rolled back') }),
    stops('before answer', 'when a forced outcome is carried out and its caller waits', duringOrder, { expected: always('rolled back') })
]

export const POINTS: readonly Point[] = [...IN_THE_COMMIT.map((point) => ({ ...point, gentle: true })), ...IN_THE_SIDECAR]
