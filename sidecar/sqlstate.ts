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
    return inPlainWords(error instanceof Error ? error.message : String(error))
}

/** What the network's and the driver's terse messages mean, for whoever reads last_error at night. Anything else is said as it is. */
const PLAIN: ReadonlyArray<readonly [RegExp, string]> = [
    [/^connect ECONNREFUSED (.*)$/, 'connection refused by $1'],
    [/^connect ENOENT (.*)$/, 'no server at $1'],
    [/^connect ETIMEDOUT (.*)$/, 'no connection to $1 in time'],
    [/^connect (?:EHOSTUNREACH|ENETUNREACH) (\S+).*$/, 'no route to $1'],
    [/^getaddrinfo (?:ENOTFOUND|EAI_AGAIN) (.*)$/, 'host name $1 is not known'],
    [/^read ECONNRESET$/, 'the connection was reset'],
    [/^write EPIPE$/, 'the connection was closed'],
    [/^(?:Connection terminated due to connection timeout|timeout expired)$/, 'no connection in time'],
    [/^Connection terminated(?: unexpectedly)?$/, 'the connection was lost'],
    [/^Query read timeout$/, 'no answer in time']
]

function inPlainWords(message: string): string {
    const known = PLAIN.find(([pattern]) => pattern.test(message))
    return known === undefined ? message : message.replace(known[0], known[1])
}

/** One line of it for people. */
export const describeProblem = ({ sqlstate, message }: Pick<Problem, 'sqlstate' | 'message'>): string =>
    sqlstate === undefined ? message : `${message} (${sqlstate})`

export function property(error: unknown, name: string): string | undefined {
    if (typeof error !== 'object' || error === null) return undefined
    const value: unknown = Reflect.get(error, name)
    return typeof value === 'string' ? value : undefined
}
