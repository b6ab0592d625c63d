/** What a commit record says of a branch against what its node says: pure. What proves nothing is called that, and never guessed at. */

export type Finding = 'disagrees' | 'not proved' | 'waits' | 'agrees'

/** As sql/internal/_record_says.sql has it. */
export type RecordSays = 'committed' | 'rolled back' | 'unknown' | 'to be committed' | 'to be rolled back'

/** A node's answer to sql/node/verify.sql for one branch. */
export interface Answer {
    /** Undefined: the node is a standby, and its time line not known. */
    readonly timeline: string | undefined
    readonly state: string | null
    readonly prepared: boolean
}

const PROOF = ['committed', 'rolled back', 'prepared', 'nothing of it']

/**
 * In words. An xid that is open, though its branch is not prepared, is nobody's or somebody else's: this server never had the branch, or has
 * gone back to before it. "aborted" proves on every time line that what is there now is without it. "committed" is the branch itself only
 * on the time line on which that was prepared: on another the same xid may have been handed out anew.
 */
export function nodeSays(timeline: string | null, { state, prepared, timeline: here }: Answer): string {
    if (here === undefined) return 'it is a standby'
    if (prepared) return 'prepared'
    if (state === 'open' || state === 'in progress') return 'nothing of it'
    if (state === 'aborted') return 'rolled back'
    if (state !== 'committed') return 'too long ago to tell'
    return timeline === here ? 'committed' : 'on another time line: cannot tell'
}

export function judge(record: RecordSays, node: string): Finding {
    if (record === 'unknown' || !PROOF.includes(node)) return 'not proved'
    if (node === 'prepared') return record.startsWith('to be ') ? 'waits' : 'disagrees'
    return record.endsWith('committed') === (node === 'committed') ? 'agrees' : 'disagrees'
}
