/**
 * The words of the protocol, pure: set ids, gids, phases and the edges between them.
 * The only module that makes or takes apart a gid outside SQL.
 */

/** A set, as its two parts: `<xid>_<nonce>`. */
export interface SetKey {
    readonly xid: string
    readonly nonce: string
}

export interface Gid extends SetKey {
    readonly coordinator: string
    readonly node: number
}

const GID = /^pgx_([0-9a-f]{8})_([1-9][0-9]{0,18})_([0-9a-f]{8})_([1-9][0-9]{0,8})$/

export const setId = (key: SetKey): string => `${key.xid}_${key.nonce}`

export const makeGid = (gid: Gid): string => `pgx_${gid.coordinator}_${setId(gid)}_${gid.node}`

/** Undefined for a gid of any other form: it belongs to another transaction manager. */
export function parseGid(text: string): Gid | undefined {
    const part = GID.exec(text)
    return part === null ? undefined : { coordinator: part[1]!, xid: part[2]!, nonce: part[3]!, node: Number(part[4]) }
}

const BRANCH_NAME = /^pgx_([0-9a-f]{8})_([0-9]{1,9})_([0-9a-f]{8})$/

/** What a session's connection on a node is called (sql/internal/_session_name.sql): undefined for any other name. */
export function branchNameOf(name: string): { readonly coordinator: string; readonly pid: number; readonly tag: string } | undefined {
    const part = BRANCH_NAME.exec(name)
    return part === null ? undefined : { coordinator: part[1]!, pid: Number(part[2]), tag: part[3]! }
}

/** `prefix` of every gid of a coordinator, as a LIKE pattern (`_` is a wildcard there). */
export const gidPattern = (coordinator: string): string => `pgx\\_${coordinator}\\_%`

/**
 * The xid8 of a 32-bit xid that is open on a server: the one nearest to its snapshot's xmax, on either side (sql/internal/_widen_xid.sql
 * has the argument).
 */
export const widenXid = (short: string, near: bigint): string =>
    String(near + ((BigInt(short) - (near % 4294967296n) + 6442450944n) % 4294967296n) - 2147483648n)

export type Action = 'commit' | 'rollback'

/** What became of a branch, once it is proved. */
export type Fate = 'committed' | 'rolled back' | 'unknown'

export const fateOf = (action: Action): Fate => (action === 'commit' ? 'committed' : 'rolled back')

export type Phase = 'begin' | 'prepare' | 'commit' | 'rollback' | 'incomplete' | 'complete'

/** Each edge with the one sentence that says why a set takes it; the sentence is what the log prints. */
export const EDGES: ReadonlyArray<{ readonly from: Phase; readonly to: Phase; readonly because: string }> = [
    { from: 'begin', to: 'prepare', because: 'the local transaction is committing and asks every node to prepare' },
    { from: 'begin', to: 'rollback', because: 'the local transaction ended before it asked any node to prepare' },
    { from: 'begin', to: 'commit', because: 'the commit record is visible: the local transaction committed' },
    { from: 'prepare', to: 'commit', because: 'the commit record is visible: the local transaction committed' },
    { from: 'prepare', to: 'rollback', because: 'the local transaction is finished and left no commit record' },
    { from: 'commit', to: 'incomplete', because: 'a branch could not be committed yet: it is tried again' },
    { from: 'rollback', to: 'incomplete', because: 'a branch could not be rolled back yet: it is tried again' },
    { from: 'commit', to: 'complete', because: 'every branch has a proved fate' },
    { from: 'rollback', to: 'complete', because: 'every branch has a proved fate' },
    { from: 'incomplete', to: 'complete', because: 'every branch has a proved fate, or a person stopped waiting for it' }
]

export const mayFollow = (from: Phase, to: Phase): boolean => EDGES.some((edge) => edge.from === from && edge.to === to)

export const why = (from: Phase, to: Phase): string =>
    EDGES.find((edge) => edge.from === from && edge.to === to)?.because ?? `${from} does not lead to ${to}`
