/** The servers of the bench: a coordinator, two servers for the nodes, and the sidecar with its defaults. */
import { mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from 'pg'
import { binaries } from '../support/binaries'
import { startCluster, type Cluster, type Settings } from '../support/cluster'
import { runCommand, startSidecar, type Sidecar } from '../support/process'
import { until } from '../support/wait'
import { workDir } from '../support/workdir'
import { Preload, type Control } from './preload'
import type { Places } from './session'

const DATABASE = 'bench'
const SECRETS = { app: 'bench-app', pglobalxact: 'bench-sidecar', node_app: 'bench-node-app', node_sidecar: 'bench-node-sidecar' } as const

/** As a server of this size would be set up; commit times for the half-committed window, statement counts for the breakdown only. */
export const SETTINGS: Settings = {
    shared_buffers: '128MB',
    max_connections: 400,
    max_prepared_transactions: 2000,
    max_wal_size: '2GB',
    checkpoint_timeout: '15min',
    fsync: true,
    wal_sync_method: 'fdatasync',
    track_commit_timestamp: true,
    shared_preload_libraries: 'pg_stat_statements',
    'pg_stat_statements.track': 'none',
    compute_query_id: 'off'
}

/** One line of the report's list of servers. */
export const SETTINGS_TEXT = 'shared_buffers 128 MB, max_wal_size 2 GB, fsync on, track_commit_timestamp on, otherwise defaults'

export type Party = 'coordinator' | 'node servers' | 'sidecar' | 'client'

interface Node {
    readonly name: string
    readonly server: Cluster
    /** The superuser's, for what the bench itself wants to know. */
    readonly control: Client
}

export class Ground {
    readonly nodes: Node[] = []
    private constructor(
        readonly coordinator: Cluster,
        readonly servers: readonly Cluster[],
        readonly control: Client,
        /** By server and for the sidecar; none where the library could not be built. */
        readonly controls: ReadonlyMap<string, Control>,
        readonly sidecar: Sidecar,
        readonly version: string
    ) {}

    /** `more`: settings of all its servers, beside those above. */
    static async create({ profile, more = {} }: { readonly profile?: string | undefined; readonly more?: Settings } = {}): Promise<Ground> {
        const preload = Preload.build()
        const controls = new Map(preload ? ['a', 'b', 'c', 'sidecar'].map((name) => [name, preload.control(name)]) : [])
        // Hundreds of sessions log in for each cell: what is measured is not the hashing of passwords.
        const settings: Settings = { ...SETTINGS, ...((await binaries()).major >= 16 ? { scram_iterations: 1 } : {}), ...more }
        const start = (name: string): Promise<Cluster> => startCluster({ name, settings, env: controls.get(name)?.env ?? {} })
        const [a, b, c] = await Promise.all([start('a'), start('b'), start('c')])
        await prepareCoordinator(a!)
        for (const server of [b!, c!]) await server.query(nodeRoles)
        const databaseUrl = a!.url({ database: DATABASE, user: 'pglobalxact', password: SECRETS.pglobalxact })
        const stateDir = mkdtempSync(join(workDir(), 'st-'))
        const nodeArgs = profile ? ['--cpu-prof', '--cpu-prof-dir', profile] : []
        const sidecar = startSidecar({ stateDir, databaseUrl, env: controls.get('sidecar')?.env ?? {}, nodeArgs })
        await sidecar.waitForLog(/ acting /)
        const control = await a!.connect({ database: DATABASE, application_name: 'bench control' })
        const { rows } = await control.query<{ v: string }>("select split_part(current_setting('server_version'), ' ', 1) as v")
        return new Ground(a!, [b!, c!], control, controls, sidecar, rows[0]!.v)
    }

    /** At least so many nodes: in turns on the two servers, each a database of its own. */
    async widen(count: number): Promise<void> {
        while (this.nodes.length < count) {
            const name = `n${this.nodes.length + 1}`
            const server = this.servers[this.nodes.length % this.servers.length]!
            await server.createDatabase(name)
            await server.query(sql('node'), [], name)
            await this.control.query(foreign(name, server))
            const admin = await this.coordinator.connect({ database: DATABASE })
            await admin.query(`select * from pglobalxact.add_node('${name}')`).finally(() => admin.end())
            this.nodes.push({ name, server, control: await server.connect({ database: name, application_name: 'bench control' }) })
        }
    }

    places(branches: number): Places {
        const login = (server: Cluster, database: string, user: 'app' | 'node_app') => ({
            host: server.host,
            port: server.port,
            database,
            user,
            password: SECRETS[user]
        })
        return {
            coordinator: login(this.coordinator, DATABASE, 'app'),
            nodes: this.nodes.slice(0, branches).map(({ server, name }) => login(server, name, 'node_app'))
        }
    }

    delayFsync(milliseconds: number): void {
        if (milliseconds > 0 && this.controls.size === 0)
            throw new Error('fsyncs cannot be delayed here: the preload library was not built')
        for (const control of this.controls.values()) control.delay(milliseconds)
    }

    /** No branch is prepared anywhere: everything that was decided has been carried out. */
    async settled(): Promise<void> {
        const left = async ({ control }: Node): Promise<number> =>
            (await control.query<{ n: number }>('select count(*)::int as n from pg_prepared_xact()')).rows[0]!.n
        await until(
            'no transaction is prepared anywhere',
            async () => {
                const counts = await Promise.all(this.nodes.slice(0, 2).map(left))
                return counts.every((n) => n === 0)
            },
            { timeoutMs: 60_000, everyMs: 1 }
        )
    }

    /** Every set on the books is complete too, and nothing is in the way of the next cell. */
    async complete(): Promise<void> {
        await until(
            'every set is complete',
            async () => {
                const { rows } = await this.control.query<{ n: number }>(
                    'select count(*)::int as n from pglobalxact.commit_record where complete_at is null'
                )
                return rows[0]!.n === 0
            },
            { timeoutMs: 60_000, everyMs: 5 }
        )
    }

    /** Sum over these nodes, and over the coordinator's own accounts. */
    async sums(): Promise<{ readonly nodes: readonly number[]; readonly coordinator: number }> {
        const sum = async (control: Client): Promise<number> =>
            (await control.query<{ sum: number }>('select sum(balance)::float8 as sum from account')).rows[0]!.sum
        return { nodes: await Promise.all(this.nodes.map(({ control }) => sum(control))), coordinator: await sum(this.control) }
    }

    async destroy(): Promise<void> {
        await Promise.all([this.control, ...this.nodes.map(({ control }) => control)].map((client) => client.end()))
        await this.sidecar.stop()
        await Promise.all([this.coordinator, ...this.servers].map((server) => server.destroy()))
        for (const control of this.controls.values()) control.close()
    }
}

const sql = (name: string): string => readFileSync(join(__dirname, 'sql', `${name}.sql`), 'utf8')

const nodeRoles = `create role node_app login password '${SECRETS.node_app}';
    create role node_sidecar login password '${SECRETS.node_sidecar}';
    grant node_app to node_sidecar`

async function prepareCoordinator(server: Cluster): Promise<void> {
    await server.createDatabase(DATABASE)
    await server.query(sql('coordinator'), [], DATABASE)
    await server.query(sql('dblink-2pc'), [], DATABASE)
    const { code, stderr } = await runCommand(['install'], server.env({ database: DATABASE }))
    if (code !== 0) throw new Error(`install failed: ${stderr}`)
    await server.query(`grant pglobalxact_user to app; alter role pglobalxact password '${SECRETS.pglobalxact}'`)
}

/** A server for pglobalxact and dblink, and one for postgres_fdw with a foreign table. */
function foreign(name: string, server: Cluster): string {
    const number = name.slice(1)
    const options = `options (host '${server.peerName}', port '${server.port}', dbname '${name}', connect_timeout '5')`
    const app = `options (user 'node_app', password '${SECRETS.node_app}')`
    return `create server ${name} foreign data wrapper dblink_fdw ${options};
        grant usage on foreign server ${name} to app, pglobalxact;
        create user mapping for app server ${name} ${app};
        create user mapping for pglobalxact server ${name} options (user 'node_sidecar', password '${SECRETS.node_sidecar}');
        create server f${number} foreign data wrapper postgres_fdw ${options};
        create user mapping for app server f${number} ${app};
        create foreign table account_${number} (id integer, balance bigint, tag bigint) server f${number} options (table_name 'account');
        grant all on account_${number} to app`
}
