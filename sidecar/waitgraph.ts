import { branchNameOf, parseGid, setId } from './protocol'

// Who waits for whom, over all servers: from what each was seen to show (sql/node/waits.sql) to edges, all pure.

/** A session on a server that waits, or is waited for. */
export interface SeenSession {
    readonly pid: number
    readonly name: string | null
    readonly role: string | null
    /** The sidecar's login is a member of its role, so that its name may be believed. */
    readonly known: boolean
    readonly database: string | null
    /** In the database that the node is. */
    readonly here: boolean
    readonly state: string | null
    readonly backend_start: string | null
    /** The same in milliseconds, by the server's clock. */
    readonly born: number | null
    /** Milliseconds since its transaction began. */
    readonly age: number | null
    readonly xid: string | null
    readonly vxid: string | null
}

export interface SeenWait {
    readonly pid: number
    /** The session of a parallel worker; its own pid for all others. */
    readonly leader: number
    readonly vxid: string
    readonly since: string
    /** Milliseconds. */
    readonly waited: number
    readonly target: string
    readonly lock: string
    readonly blockers: readonly number[]
    readonly prepared: readonly { readonly gid: string; readonly role: string; readonly database: string; readonly known: boolean }[]
}

/** One server's answer; asked and answered by the sidecar's clock, in milliseconds. */
export interface ServerLook {
    /** The node's number; 0 for the coordinator. */
    readonly number: number
    readonly place: string
    readonly server: string
    readonly asked: number
    readonly answered: number
    readonly waits: readonly SeenWait[]
    readonly sessions: readonly SeenSession[]
}

/** A set of this coordinator whose local transaction runs. */
export interface SetInFlight {
    readonly set: string
    readonly xid: string
    readonly pid: number
    readonly nodes: readonly number[]
    readonly role: string | null
    readonly name: string | null
    readonly state: string | null
    readonly backend_start: string | null
    readonly age: number | null
}

/** sql/node/waits.sql, and pglobalxact._waits_here(); "busy": it was looked. */
export type Answer = Pick<ServerLook, 'server' | 'waits' | 'sessions'> & { readonly busy: boolean }

/** sql/sidecar/_waits.sql. */
export interface CoordinatorWaits {
    /** deadlock_timeout, in milliseconds. */
    readonly patience: number
    readonly tag: string
    /** Without these no set has been open for a while. */
    readonly sets?: readonly SetInFlight[]
    readonly look?: Answer
}

/** What the sidecar is to do about deadlocks by itself. */
export type Mode = 'off' | 'report' | 'resolve'

export interface Seen {
    readonly coordinator: string
    /** What the names of this coordinator's branch sessions end with, since its server's last start. */
    readonly tag: string
    readonly sets: readonly SetInFlight[]
    /** When the sets were read, by the sidecar's clock. */
    readonly asked: number
    readonly answered: number
    readonly looks: readonly ServerLook[]
}

/** Who can wait or be waited for: a set with all its sessions and branches, or a stranger on one server. */
export interface Party {
    readonly label: string
    readonly is: string
    /** Of this coordinator, and in flight. */
    readonly set: SetInFlight | undefined
    /** Of another coordinator: its id. */
    readonly foreign: string | undefined
}

/** One process that waits for another, or for a prepared transaction. */
export interface Edge {
    readonly place: string
    readonly lock: string
    readonly waited: number
    readonly waiter: Party
    readonly blocker: Party
    /** The two processes: a server with a pid or gid. */
    readonly from: string
    readonly to: string
    /** The same wait, of the same transaction, for the same one: as long as this is the same. */
    readonly identity: string
    /** Left behind by a statement that was given up: nobody waits for its end. */
    readonly abandoned: boolean
}

export function edgesOf(seen: Seen): readonly Edge[] {
    const parties = new Parties(seen)
    const edges = new Map<string, Edge>()
    for (const look of seen.looks) {
        for (const wait of look.waits) {
            const waiter = parties.session(look, wait.leader)
            if (waiter === undefined) continue
            const about = { place: look.place, lock: wait.lock, waited: wait.waited, waiter: waiter.party, abandoned: waiter.abandoned }
            const stamp = [look.server, wait.pid, wait.vxid, wait.since, wait.target, waiter.stamp]
            const add = (blocker: Found): void => {
                const identity = [...stamp, blocker.process, blocker.stamp].join(' ')
                // Two nodes of one server both show it.
                if (!edges.has(identity))
                    edges.set(identity, { ...about, blocker: blocker.party, from: waiter.process, to: blocker.process, identity })
            }
            for (const pid of wait.blockers) {
                const blocker = parties.session(look, pid)
                // Gone meanwhile, and with it the wait.
                if (blocker !== undefined) add(blocker)
            }
            for (const prepared of wait.prepared) add(parties.prepared(look, prepared))
        }
    }
    return [...edges.values()]
}

interface Found {
    readonly party: Party
    readonly process: string
    readonly stamp: string
    readonly abandoned: boolean
}

class Parties {
    private readonly processes = new Map<string, Found>()
    private readonly byPid: ReadonlyMap<number, SetInFlight>
    private readonly bySet: ReadonlyMap<string, SetInFlight>

    constructor(private readonly seen: Seen) {
        this.byPid = new Map(seen.sets.map((set) => [set.pid, set]))
        this.bySet = new Map(seen.sets.map((set) => [set.set, set]))
        // A server's sessions show at each of its nodes, and at the coordinator if that is on it; whose one is, one of these looks can tell.
        for (const look of seen.looks) {
            for (const session of look.sessions) {
                const process = `${look.server} ${session.pid}`
                const known = this.processes.get(process)
                const found = this.judge(look, session)
                if (found !== undefined) this.processes.set(process, found)
                else if (known === undefined || (session.here && known.party.set === undefined && known.party.foreign === undefined))
                    this.processes.set(process, stranger(look, session, process))
            }
        }
    }

    session(look: ServerLook, pid: number): Found | undefined {
        return this.processes.get(`${look.server} ${pid}`)
    }

    prepared(look: ServerLook, { gid, role, database, known }: SeenWait['prepared'][number]): Found {
        const process = `${look.server} gid ${gid}`
        const key = known ? parseGid(gid) : undefined
        const id = key === undefined ? undefined : setId(key)
        const set = id !== undefined && key!.coordinator === this.seen.coordinator ? this.bySet.get(id) : undefined
        if (set !== undefined) return { party: ofSet(set), process, stamp: set.set, abandoned: false }
        const owner = key?.coordinator === this.seen.coordinator ? 'set that is over or left alone' : 'prepared transaction'
        const party = { label: gid, is: `${owner}, role ${role}, database ${database}`, set: undefined, foreign: undefined }
        return { party, process, stamp: gid, abandoned: false }
    }

    /** Whose session it is, if it is a set's. */
    private judge(look: ServerLook, session: SeenSession): Found | undefined {
        const process = `${look.server} ${session.pid}`
        const stamp = stampOf(session)
        if (look.number === 0) {
            const own = this.byPid.get(session.pid)
            return own && { party: ofSet(own), process, stamp: `${own.set} ${stamp}`, abandoned: false }
        }
        if (!session.known || !session.here || session.name === null) return undefined
        const enlisted = parseGid(session.name)
        if (enlisted !== undefined) {
            const set = enlisted.coordinator === this.seen.coordinator ? this.bySet.get(setId(enlisted)) : undefined
            return set?.nodes.includes(look.number)
                ? { party: ofSet(set), process, stamp: `${set.set} ${stamp}`, abandoned: false }
                : undefined
        }
        const branch = branchNameOf(session.name)
        if (branch === undefined) return undefined
        if (branch.coordinator !== this.seen.coordinator) return { party: ofOther(branch), process, stamp, abandoned: false }
        const set = branch.tag === this.seen.tag ? this.byPid.get(branch.pid) : undefined
        if (set === undefined || !set.nodes.includes(look.number) || !this.mayBeBranch(look, session, set)) return undefined
        // A set waits for what its session waits for: one that is idle has given its statement up.
        return { party: ofSet(set), process, stamp: `${set.set} ${stamp}`, abandoned: (set.state ?? 'active') !== 'active' }
    }

    /**
     * A local session's connections keep their name from one set to the next, and one that was dropped lives on for up to a second, still in the
     * transaction of an earlier set and still waiting. Its transaction began before the set did, or there is a newer connection of
     * this name in a transaction. (Ages are compared, not clocks: each began between its question and its answer, less the age.)
     */
    private mayBeBranch(look: ServerLook, session: SeenSession, set: SetInFlight): boolean {
        const { age, born } = session
        if (age === null || born === null) return false
        if (set.age !== null && look.answered - age < this.seen.asked - set.age) return false
        const newer = (other: SeenSession): boolean => other.here && other.known && other.age !== null && (other.born ?? 0) > born
        return !look.sessions.some((other) => other.name === session.name && newer(other))
    }
}

const stampOf = ({ backend_start, vxid, xid }: SeenSession): string => `${backend_start} ${vxid} ${xid}`

const ofSet = (set: SetInFlight): Party => ({ label: set.set, is: describe('set', set.role, set.name), set, foreign: undefined })

const ofOther = ({ coordinator, pid, tag }: NonNullable<ReturnType<typeof branchNameOf>>): Party => ({
    label: `coordinator ${coordinator} pid ${pid}`,
    is: `set of coordinator ${coordinator} (${tag})`,
    set: undefined,
    foreign: coordinator
})

function stranger(look: ServerLook, session: SeenSession, process: string): Found {
    const is = describe('session', session.role, session.name) + (session.here ? '' : `, database ${session.database ?? ''}`)
    const party = { label: `${look.place} pid ${session.pid}`, is, set: undefined, foreign: undefined }
    return { party, process, stamp: stampOf(session), abandoned: false }
}

const describe = (what: string, role: string | null, name: string | null): string =>
    [what, role === null ? '' : `role ${role}`, name ?? ''].filter((part) => part !== '').join(', ')
