/** A coordinator with its nodes, roles and sidecar, as a DBA would set them up: no superuser on the nodes. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from 'pg'
import { startCluster, type Cluster, type Login } from './cluster'
import { runCommand, startSidecar, type Sidecar } from './process'
import { startProxy, type Proxy } from './proxy'
import { until, type UntilOptions } from './wait'
import { workDir } from './workdir'

/** Passwords of the roles below, all different so that a log can be searched for them. */
export const PASSWORDS = {
    pglobalxact: 'sidecar-secret-1',
    app: 'app-secret-2',
    dba: 'dba-secret-3',
    watcher: 'watcher-secret-4',
    node_sidecar: 'node-secret-5',
    node_app: 'node-app-secret-6'
} as const

export interface WorldOptions {
    readonly name: string
    /** Default: b and c, each on a cluster of its own. */
    readonly nodes?: readonly string[]
    /** Nodes are reached through proxies, to be cut and frozen. */
    readonly proxied?: boolean
    readonly sidecarArgs?: readonly string[]
    /** Start without a sidecar and without registered nodes. */
    readonly bare?: boolean
    /** Clusters of the test's own, to be killed; "a" is the coordinator's. What is not named here is shared. */
    readonly clusters?: Readonly<Record<string, Cluster>>
}

const shared = new Map<string, Promise<Cluster>>()
let worlds = 0

/** Clusters are shared by all test files of a process; each world has databases of its own on them. */
export function sharedCluster(name: string): Promise<Cluster> {
    const known = shared.get(name) ?? startCluster({ name })
    shared.set(name, known)
    return known
}

/** What a sidecar does by itself, for figures: these undo the haste that makes tests short. */
export const AT_DEFAULTS = ['--scan-interval', '1000', '--retry-cap', '30000', '--node-timeout', '10000'] as const

const quickly = ['--scan-interval', '200', '--retry-cap', '500', '--node-timeout', '3000'] as const

export class World {
    sidecar: Sidecar | undefined
    readonly stateDir: string
    private readonly clients: Client[] = []

    private constructor(
        readonly name: string,
        readonly database: string,
        /** Another one after a failover. */
        public coordinator: Cluster,
        readonly nodes: Map<string, Cluster>,
        readonly proxies: ReadonlyMap<string, Proxy>,
        private readonly sidecarArgs: readonly string[]
    ) {
        mkdirSync(workDir(), { recursive: true })
        this.stateDir = mkdtempSync(join(workDir(), 'st-'))
    }

    static async create(options: WorldOptions): Promise<World> {
        const names = options.nodes ?? ['b', 'c']
        const [coordinator, ...clusters] = await Promise.all(['a', ...names].map((name) => options.clusters?.[name] ?? sharedCluster(name)))
        const nodes = new Map(names.map((name, index) => [name, clusters[index]!]))
        const proxies = new Map<string, Proxy>()
        if (options.proxied) for (const [name, cluster] of nodes) proxies.set(name, await startProxy(cluster.port))
        const database = `w${++worlds}_${options.name}`
        const world = new World(options.name, database, coordinator!, nodes, proxies, [...quickly, ...(options.sidecarArgs ?? [])])
        await Promise.all([world.prepareCoordinator(), ...[...nodes.values()].map((cluster) => world.prepareNode(cluster))])
        for (const name of names) await world.createServer(name)
        if (!options.bare) {
            await world.startSidecar()
            for (const name of names) await world.admin(`select * from pglobalxact.add_node('${name}')`)
        }
        return world
    }

    private async prepareCoordinator(): Promise<void> {
        await this.coordinator.createDatabase(this.database)
        await this.install()
        await this.coordinator.query(
            `
      do $$ begin
        if to_regrole('app') is null then create role app login; create role dba login; create role watcher login; end if;
      end $$;
      alter role pglobalxact password '${PASSWORDS.pglobalxact}';
      alter role app password '${PASSWORDS.app}'; alter role dba password '${PASSWORDS.dba}'; alter role watcher password '${PASSWORDS.watcher}';
      grant pglobalxact_user to app; grant pglobalxact_admin to dba; grant pglobalxact_monitor to watcher;
      grant create on schema public to app;
      create table account (id int primary key, balance bigint not null check (balance >= 0));
      insert into account values (1, 1000);
      grant all on account to app`,
            [],
            this.database
        )
    }

    async install(): Promise<void> {
        const { code, stderr } = await runCommand(['install'], this.coordinator.env({ database: this.database }))
        if (code !== 0) throw new Error(`install failed: ${stderr}`)
    }

    private async prepareNode(cluster: Cluster): Promise<void> {
        await cluster.createDatabase(this.database)
        await cluster.query(
            `
      do $$ begin
        if to_regrole('node_app') is null then create role node_app login; end if;
        if to_regrole('node_sidecar') is null then create role node_sidecar login; end if;
      end $$;
      alter role node_app password '${PASSWORDS.node_app}'; alter role node_sidecar password '${PASSWORDS.node_sidecar}';
      grant node_app to node_sidecar;
      grant create on schema public to node_app;
      create table account (id int primary key, balance bigint not null check (balance >= 0));
      insert into account values (1, 1000);
      grant all on account to node_app`,
            [],
            this.database
        )
    }

    /** The foreign server and user mappings of a node. */
    async createServer(name: string, cluster = this.nodes.get(name)!, database = this.database): Promise<void> {
        const port = this.proxies.get(name)?.port ?? cluster.port
        await this.sql(`
      create server ${name} foreign data wrapper dblink_fdw options (host '${cluster.peerName}', port '${port}', dbname '${database}', connect_timeout '5');
      grant usage on foreign server ${name} to app, pglobalxact;
      create user mapping for app server ${name} options (user 'node_app', password '${PASSWORDS.node_app}');
      create user mapping for pglobalxact server ${name} options (user 'node_sidecar', password '${PASSWORDS.node_sidecar}')`)
    }

    get sidecarUrl(): string {
        return this.coordinator.url({ database: this.database, user: 'pglobalxact', password: PASSWORDS.pglobalxact })
    }

    /** Starts the sidecar and waits until it acts. */
    async startSidecar(args: readonly string[] = []): Promise<Sidecar> {
        const sidecar = this.launchSidecar(args)
        await sidecar.waitForLog(/ acting /)
        return sidecar
    }

    /** Starts the sidecar and waits for nothing. */
    launchSidecar(args: readonly string[] = []): Sidecar {
        return (this.sidecar = startSidecar({
            stateDir: this.stateDir,
            databaseUrl: this.sidecarUrl,
            args: [...this.sidecarArgs, ...args]
        }))
    }

    /** The sidecar that acts has looked at every node: before that it has nobody to send anything to, when a set is decided. */
    async nodesReached(patience: UntilOptions = {}): Promise<void> {
        const reached =
            'select from pglobalxact.node_status n, pglobalxact.sidecar s ' +
            "where n.checked_at > s.started_at and n.reachable and n.fence = 'held' and exists (select from pglobalxact._sidecar_pid())"
        await until('the sidecar has looked at every node', async () => (await this.sql(reached)).length === this.nodes.size, patience)
    }

    login(user: 'app' | 'dba' | 'watcher' | 'pglobalxact'): Required<Login> {
        return { database: this.database, user, password: PASSWORDS[user] }
    }

    /** A session on the coordinator, closed with the world. */
    async connect(user: 'app' | 'dba' | 'watcher' = 'app'): Promise<Client> {
        const client = await this.coordinator.connect(this.login(user))
        this.clients.push(client)
        return client
    }

    /** Rows of one query on the coordinator as superuser. */
    sql<R extends Record<string, unknown>>(text: string, params: readonly unknown[] = []): Promise<R[]> {
        return this.coordinator.query<R>(text, params, this.database)
    }

    /** Rows of one query as the DBA, who is no superuser. */
    async admin<R extends Record<string, unknown>>(text: string, params: readonly unknown[] = []): Promise<R[]> {
        const client = await this.coordinator.connect(this.login('dba'))
        try {
            return (await client.query<R>(text, [...params])).rows
        } finally {
            await client.end()
        }
    }

    node<R extends Record<string, unknown>>(name: string, text: string, params: readonly unknown[] = []): Promise<R[]> {
        return this.nodes.get(name)!.query<R>(text, params, this.database)
    }

    /** The sidecar may not finish branches of node_app there any more: not by the sessions either that took the role before, and would keep it. */
    async withdraw(node: string): Promise<void> {
        await this.node(node, 'revoke node_app from node_sidecar')
        await this.endSidecarSessions(node)
    }

    endSidecarSessions(node: string): Promise<unknown> {
        const sessions = "from pg_stat_activity where application_name ~ '^pgx_.*_sidecar_' and datname = current_database()"
        return this.node(node, `select pg_terminate_backend(pid) ${sessions}`)
    }

    /** Moves money from the coordinator to a node and on, in one set: the workload of most tests. */
    async transfer(client: Client, amount = 10, nodes: readonly string[] = [...this.nodes.keys()]): Promise<string> {
        await client.query('begin')
        await client.query('update account set balance = balance - $1', [amount * nodes.length])
        for (const node of nodes)
            await client.query('select pglobalxact.exec($1, $2)', [node, `update account set balance = balance + ${amount}`])
        const { rows } = await client.query<{ id: string }>('select pglobalxact.set_id() as id')
        return rows[0]!.id
    }

    async balances(): Promise<Record<string, number>> {
        const read = async (rows: Promise<Record<string, unknown>[]>): Promise<number> => Number((await rows)[0]!['balance'])
        const all: Record<string, number> = { a: await read(this.sql('select balance from account where id = 1')) }
        for (const name of this.nodes.keys()) all[name] = await read(this.node(name, 'select balance from account where id = 1'))
        return all
    }

    /** Branches of this world's sets that are still prepared somewhere. */
    async prepared(): Promise<string[]> {
        const all = await Promise.all(
            [...this.nodes.keys()].map((name) =>
                this.node<{ gid: string }>(
                    name,
                    "select gid from pg_prepared_xacts where database = current_database() and gid like 'pgx%' order by 1"
                )
            )
        )
        return all.flat().map((row) => row.gid)
    }

    /** Nothing left anywhere: no prepared branch, no set on the books, no line in the state files. */
    async settled(): Promise<void> {
        await until('everything is settled', async () => {
            const [prepared, sets] = [await this.prepared(), await this.sql('select * from pglobalxact.sets()')]
            const lines = await this.admin('select * from pglobalxact.state_lines()')
            if (prepared.length + sets.length + lines.length > 0) throw new Error(JSON.stringify({ prepared, sets, lines }))
            return true
        })
    }

    async destroy(): Promise<void> {
        await Promise.all(this.clients.map((client) => client.end().catch(() => undefined)))
        await this.sidecar?.stop()
        for (const proxy of this.proxies.values()) await proxy.close()
        rmSync(this.stateDir, { recursive: true, force: true })
        await this.coordinator.dropDatabase(this.database)
        for (const cluster of this.nodes.values()) await cluster.dropDatabase(this.database)
    }
}
