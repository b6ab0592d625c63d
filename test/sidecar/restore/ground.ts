import type { Client } from 'pg'
import { newStateDir } from '../common'
import { startSidecar, type Sidecar } from '../../support/process'
import { until } from '../../support/wait'
import { PASSWORDS, World } from '../../support/world'
import { Archived } from './recovery'

export interface Manifest extends Readonly<Record<string, unknown>> {
    readonly name: string
    readonly id: string
    readonly servers: readonly { readonly node: string; readonly number: number | null; readonly at: string }[]
}

export interface Answer extends Readonly<Record<string, unknown>> {
    readonly server: string
    readonly set_id: string | null
    readonly state: string
    readonly result: string
}

export const TIMES = ['--scan-interval', '200', '--retry-cap', '500', '--node-timeout', '3000'] as const

export const STATES = ({ server, state }: { readonly server: string; readonly state: string }): string => `${server} ${state}`

/** A coordinator and two nodes that can be restored to a moment, and a restore point's rights. */
export class Ground {
    private constructor(
        readonly world: World,
        readonly servers: Readonly<Record<'a' | 'b' | 'c', Archived>>
    ) {}

    static async create(name: string): Promise<Ground> {
        const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((one) => Archived.start(one)))
        const servers = { a: a!, b: b!, c: c! }
        const clusters = { a: a!.cluster, b: b!.cluster, c: c!.cluster }
        return new Ground(await World.create({ name, clusters }), servers)
    }

    async permit(): Promise<void> {
        const grant = 'grant execute on function pg_create_restore_point(text) to'
        await this.world.sql(`${grant} pglobalxact`)
        for (const node of ['b', 'c']) await this.world.node(node, `${grant} node_sidecar`)
    }

    backUp(): Promise<unknown> {
        return Promise.all(Object.values(this.servers).map((server) => server.backUp()))
    }

    async point(name: string, more = ''): Promise<Manifest> {
        const rows = await this.world.admin<{ m: Manifest }>(
            `select pglobalxact.create_restore_point($1, timeout => '10 seconds'${more}) as m`,
            [name]
        )
        return rows[0]!.m
    }

    async archived(): Promise<void> {
        await Promise.all(Object.values(this.servers).map((server) => server.archived()))
    }

    reconcile(manifest: Manifest, committed?: unknown): Promise<Answer[]> {
        const given = committed === undefined ? null : JSON.stringify(committed)
        return this.world.admin<Answer>('select * from pglobalxact.reconcile($1, $2)', [JSON.stringify(manifest), given])
    }

    /** A set that moves 10 to each node: its id. */
    async commit(): Promise<string> {
        const client = await this.world.coordinator.connect(this.world.login('app'))
        try {
            const set = await this.world.transfer(client)
            await client.query('commit')
            await client.query('select pglobalxact.await()')
            return set
        } finally {
            await client.end()
        }
    }

    /** A set whose branch on the node is prepared by the program, and that is not decided yet. */
    async enlisted(node: string, row: number): Promise<{ readonly set: string; readonly gid: string; readonly client: Client }> {
        const client = await this.world.connect()
        await client.query('begin')
        const { rows } = await client.query<{ gid: string; set: string }>(
            'select pglobalxact.enlist($1) as gid, pglobalxact.set_id() as set',
            [node]
        )
        const { gid, set } = { set: rows[0]!.set, gid: rows[0]!.gid }
        await this.prepare(node, gid, row)
        const own = await client.query<{ id: string }>('select pglobalxact.set_id() as id')
        return { client, gid, set: own.rows[0]!.id ?? set }
    }

    /** The same, committed. Returns its id. */
    async committed(node: string, row: number): Promise<string> {
        const { set, client } = await this.enlisted(node, row)
        await client.query('commit')
        return set
    }

    async prepare(node: string, gid: string, row: number): Promise<void> {
        const login = { database: this.world.database, user: 'node_app', password: PASSWORDS.node_app }
        const there = await this.world.nodes.get(node)!.connect(login)
        try {
            await there.query(`begin; insert into account values (${row}, 0); prepare transaction '${gid}'`)
        } finally {
            await there.end()
        }
    }

    async rowsOf(node: string): Promise<number[]> {
        return (await this.world.node<{ id: number }>(node, 'select id from account where id > 1 order by 1')).map(({ id }) => id)
    }

    /** Where the marks of restore points are left. */
    async marks(): Promise<string[]> {
        const found = 'select gid from pg_prepared_xacts where database = current_database() and gid like $1'
        return (await Promise.all(['b', 'c'].map((node) => this.world.node<{ gid: string }>(node, found, ['pgxr%']))))
            .flat()
            .map(({ gid }) => gid)
    }

    /** A sidecar with a new state directory takes over. */
    async adopt(): Promise<Sidecar> {
        const stateDir = newStateDir()
        const sidecar = startSidecar({ stateDir, databaseUrl: this.world.sidecarUrl, args: TIMES })
        await sidecar.waitForLog(/is not allowed to act/)
        await this.world.admin("select pglobalxact.adopt('restored')")
        await sidecar.waitForLog(/ acting /)
        this.world.sidecar = sidecar
        await this.world.nodesReached()
        return sidecar
    }

    outcome(set: string): Promise<string> {
        return this.world.admin<{ o: string }>('select pglobalxact.outcome($1) as o', [set]).then((rows) => rows[0]!.o)
    }

    async gone(gid: string): Promise<void> {
        await until('it is finished', async () => !(await this.world.prepared()).includes(gid))
    }

    async destroy(): Promise<void> {
        try {
            await this.world.destroy()
        } finally {
            await Promise.all(Object.values(this.servers).map((server) => server.destroy()))
        }
    }
}
