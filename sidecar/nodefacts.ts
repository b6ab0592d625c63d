import type { Client } from 'pg'
import { destroy } from './session'
import { nodeSql } from './sqlfiles'

/** What doctor() and check_node() look at on one node: read on a connection of its own, so that it sees settings as a new session does. */
export interface NodeFacts {
    readonly login: string
    readonly superuser: boolean
    readonly members: readonly string[]
    /** Roles that own branches here and that the login may not become. */
    readonly strangers: readonly string[]
    readonly slots: number
    readonly connections: number
    readonly slots_used: number
    readonly standby: boolean
    readonly version_num: number
    readonly version: string
    readonly careless: readonly string[]
    readonly upstream: { readonly host: string; readonly port: string } | null
    readonly standbys: readonly string[]
    readonly synchronous: string
    readonly foreign_prepared: readonly {
        readonly gid: string
        readonly owner: string
        readonly database: string
        readonly age: string
    }[]
    readonly deadlines: readonly { readonly setting: string; readonly value: string; readonly whom: string; readonly cure: string }[]
    /** Unused replication slots that keep much WAL, without a bound. */
    readonly wal_kept: readonly { readonly slot: string; readonly kept: string }[]
    readonly watchful: string
    /** Where the server itself says this connection arrived. */
    readonly server: { readonly host: string; readonly port: string }
    readonly clock: number
}

export interface Examination extends NodeFacts {
    /** Milliseconds of this host's clock around the reading of the node's. */
    readonly asked: number
    readonly answered: number
    readonly fence: FenceSession
    readonly squatters: readonly { readonly pid: number; readonly role: string }[]
}

export interface FenceSession {
    /** Every statement found the same session, and the fence in its hands: what a transaction pooler cannot give. */
    readonly kept: boolean
    /** The server's session has another pid than the one named at login: a pooler or proxy has its own. */
    readonly masked: boolean
}

export interface Question {
    readonly owners: readonly string[]
    /** An interval: prepared transactions older than this are old. */
    readonly patience: string
    readonly gids: string
}

const EXAMINE = nodeSql('examine')

export async function readFacts(client: Client, question: Question) {
    const asked = Date.now()
    const { rows } = await client.query<NodeFacts>(EXAMINE, [question.owners, question.patience, question.gids])
    return { ...rows[0]!, asked, answered: Date.now() }
}

/** A statement of the session under test, which says which session of the server carried it out and whether that holds what it must. */
type Ask = () => Promise<{ readonly pid: number; readonly held: boolean }>

/**
 * Is a session one session? Between two of its statements another connection holds a transaction open: a pooler that
 * lends its server sessions out per transaction gives it one, and has another for the next statement.
 */
export async function proveSession(ask: Ask, login: number | undefined, rival: Client): Promise<FenceSession> {
    const first = await ask()
    const seen = [first]
    try {
        await rival.query('begin')
        for (let turn = 0; turn < 3; turn++) {
            await rival.query('select')
            seen.push(await ask())
        }
        await rival.query('rollback')
    } catch (error) {
        destroy(rival)
        throw error
    }
    return {
        kept: seen.every(({ pid, held }) => pid === first.pid && held),
        masked: login !== undefined && seen.some(({ pid }) => pid !== login)
    }
}

/** The pid that the server, or whatever answers in its place, named at login. */
export function loginPid(client: Client): number | undefined {
    const pid: unknown = Reflect.get(client, 'processID')
    return typeof pid === 'number' ? pid : undefined
}
