import type { Client } from 'pg'
import { coordinatorSession } from './coordinatorsession'
import type { ConnectionConfig } from './connection'
import type { Node } from './node'
import { destroy } from './session'

/** A canary set's branch. */
export interface CanaryBranch {
    readonly node: Node
    /** Looks at the node, and plays the part of those who meddle there. */
    readonly eye: Client
    /** The canary table's name, quoted. */
    readonly table: string | undefined
    readonly timeline: string | null
    readonly gid: string
    readonly xid: string
    /** Of an enlisted branch: the program's own connection, on which it is open. */
    readonly program: Client | undefined
}

export interface CanaryNode {
    readonly node: Node
    readonly eye: Client
    readonly table: string | undefined
    /** On which its branch will be. */
    readonly timeline: string | null
}

/**
 * A set like any other, with a branch on each of these nodes, up to just before its COMMIT. It begins in a session of its own, as the sidecar's
 * role. A crash leaves what the crash of any session leaves, and the decision rule settles it.
 */
export class Canary {
    private constructor(
        readonly id: string,
        readonly setId: string,
        readonly session: Client,
        /** Of this session's connections on the nodes. */
        readonly sessionName: string,
        readonly branches: readonly CanaryBranch[]
    ) {}

    /** `enlisted`: the node whose branch a program prepares itself. */
    static async begin(
        config: ConnectionConfig,
        { id, about, nodes, enlisted }: { id: string; about: string; nodes: readonly CanaryNode[]; enlisted: Node | undefined }
    ): Promise<Canary> {
        const session = await coordinatorSession(config, `pglobalxact drill ${id}: ${about}`)
        const programs: Client[] = []
        try {
            await session.query('begin')
            const branches: CanaryBranch[] = []
            for (const one of nodes) {
                const enlists = one.node === enlisted
                branches.push(await (enlists ? enlist(session, one, id, programs) : exec(session, one, id)))
            }
            const { rows } = await session.query<{ id: string; name: string }>(
                'select pglobalxact.set_id() as id, pglobalxact._session_name() as name'
            )
            return new Canary(id, rows[0]!.id, session, rows[0]!.name, branches)
        } catch (error) {
            for (const client of [session, ...programs]) destroy(client)
            throw error
        }
    }

    on(node: Node): CanaryBranch {
        return this.branches.find((branch) => branch.node === node)!
    }

    /** Throws when it fails, and the set with it. */
    async commit(): Promise<void> {
        const { command } = await this.session.query('commit')
        if (command !== 'COMMIT') throw new Error(`COMMIT answered ${command}`)
    }

    close(): void {
        destroy(this.session)
        for (const { program } of this.branches) if (program !== undefined) destroy(program)
    }
}

const XID = 'select pg_catalog.pg_current_xact_id()::pg_catalog.text as xid'

/** Without a table it changes nothing, and has an xid all the same: that is what it is known by. */
const work = (table: string | undefined, id: string): string =>
    table === undefined ? `set local pglobalxact.drill = '${id}'` : `insert into ${table} (drill) values (${id})`

async function exec(session: Client, one: CanaryNode, id: string): Promise<CanaryBranch> {
    const { name } = one.node.address
    await session.query('select pglobalxact.exec($1, $2)', [name, work(one.table, id)])
    const { rows } = await session.query<{ xid: string; gid: string }>(
        `select q.xid, 'pgx_' || c.id || '_' || pglobalxact.set_id() || '_' || $3 as gid from pglobalxact.query($1, $2) as q (xid text) cross join pglobalxact.coordinator c`,
        [name, XID, String(one.node.address.number)]
    )
    return { ...one, ...rows[0]!, program: undefined }
}

async function enlist(session: Client, one: CanaryNode, id: string, programs: Client[]): Promise<CanaryBranch> {
    const { rows } = await session.query<{ gid: string }>('select pglobalxact.enlist($1) as gid', [one.node.address.name])
    const program = await one.node.visit()
    programs.push(program)
    await program.query('begin')
    await program.query(work(one.table, id))
    return { ...one, gid: rows[0]!.gid, xid: (await program.query<{ xid: string }>(XID)).rows[0]!.xid, program }
}
