/** What an error of a node means for a branch. Errors are classed, never interpreted by their text. */

/**
 * - `absent`: the gid is not prepared there. Not success: the branch's fate must be looked up.
 * - `retry`: nothing happened; the same call may work later.
 * - `unknown`: the connection or server went away; the call may or may not have been carried out: look again.
 */
export type Trouble = 'absent' | 'retry' | 'unknown'

export interface Problem {
    readonly trouble: Trouble
    /** Undefined when the error came from the network, not from a server. */
    readonly sqlstate: string | undefined
    readonly message: string
}

const ABSENT = '42704' // undefined_object: COMMIT PREPARED of a gid that is not there
const CONNECTION = /^(08...|57P0.|40003|25P0[34])$/ // connection exceptions, shutdowns, "statement completion unknown", session timeouts

export function classify(error: unknown): Problem {
    const sqlstate = sqlstateOf(error)
    const message = messageOf(error)
    if (sqlstate === undefined) return { trouble: 'unknown', sqlstate, message }
    if (sqlstate === ABSENT) return { trouble: 'absent', sqlstate, message }
    return { trouble: CONNECTION.test(sqlstate) ? 'unknown' : 'retry', sqlstate, message }
}

/** Undefined for an error that no server sent: the network's own codes (EPIPE, ECONNRESET) stand in the same place. */
export function sqlstateOf(error: unknown): string | undefined {
    const code = property(error, 'code')
    return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code) ? code : undefined
}

export const messageOf = (error: unknown): string => {
    if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ')
    return error instanceof Error ? error.message : String(error)
}

/** One line of it for people. */
export const describeProblem = ({ sqlstate, message }: Pick<Problem, 'sqlstate' | 'message'>): string =>
    sqlstate === undefined ? message : `${message} (${sqlstate})`

export function property(error: unknown, name: string): string | undefined {
    if (typeof error !== 'object' || error === null) return undefined
    const value: unknown = Reflect.get(error, name)
    return typeof value === 'string' ? value : undefined
}
