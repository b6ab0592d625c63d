/** A real PostgreSQL server of our own: start it, crash it, freeze it, cut it, start it again. */
import { chmod, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, type QueryResultRow } from 'pg'
import { binaries, type Binaries } from './binaries'
import { CONF_FILE, PASSWORD, copyDataDir, newDataDir, ownedDir } from './datadir'
import { freePort } from './ports'
import { DEADLINE_MS, Postmaster, type StopMode } from './postmaster'
import { until, within } from './wait'
import { workDir } from './workdir'

/** Values of postgresql.conf; null takes a setting back to its default. */
export type Settings = Readonly<Record<string, string | number | boolean | null>>

export interface ClusterOptions {
    readonly name: string
    readonly settings?: Settings
    /** Major version; default: what the environment asks for. */
    readonly version?: number
    /** Starts from a cold copy of this stopped cluster: a backup, a clone, the base of a standby. */
    readonly copyOf?: Cluster
    /** Starts in recovery (standby.signal); put primary_conninfo into the settings. */
    readonly standby?: boolean
    /** More variables of the server's environment, such as LD_PRELOAD. Not for containers. */
    readonly env?: Readonly<Record<string, string>>
}

export interface Login {
    readonly database?: string
    readonly user?: string
    /** Default: the superuser's, if `user` is the superuser. */
    readonly password?: string
}

const DEFAULTS: Settings = {
    listen_addresses: '127.0.0.1',
    max_connections: 200,
    max_prepared_transactions: 200,
    shared_buffers: '16MB',
    max_wal_size: '256MB',
    fsync: true,
    log_line_prefix: '%m [%p] %d %u %a '
}

const clusters = new Set<Cluster>()
let counter = 0

/** Starts a cluster (0.3 s; the first one of a process also runs initdb) and waits until it takes connections. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
    const home = join(workDir(), `${++counter}-${options.name}`)
    const pg = options.copyOf?.binaries ?? (await binaries(options.version))
    await ownedDir(home)
    const dataDir = join(home, 'data')
    if (options.copyOf) await options.copyOf.copyTo(dataDir)
    else await newDataDir(pg, dataDir)
    if (options.standby) await writeFile(join(dataDir, 'standby.signal'), '')
    const cluster = new Cluster(options.name, home, pg, await freePort(), options.settings ?? {}, options.env)
    clusters.add(cluster)
    await cluster.start()
    return cluster
}

export const destroyAllClusters = (): Promise<unknown> => Promise.all([...clusters].map((c) => c.destroy()))

export class Cluster {
    /** The superuser postgres's. */
    readonly password = PASSWORD
    readonly #postmaster: Postmaster
    #port: number
    #settings: Settings
    #versionNum = 0

    constructor(
        readonly name: string,
        readonly home: string,
        readonly binaries: Binaries,
        port: number,
        settings: Settings,
        env: Readonly<Record<string, string>> = {}
    ) {
        this.#postmaster = new Postmaster(name, binaries, home, env)
        this.#port = port
        this.#settings = { ...DEFAULTS, cluster_name: name, unix_socket_directories: home, ...settings }
    }

    get host(): string {
        return '127.0.0.1'
    }
    /** Under which other servers find it. */
    get peerName(): string {
        return this.host
    }
    get port(): number {
        return this.#port
    }
    get dataDir(): string {
        return this.#postmaster.dataDir
    }
    get logFile(): string {
        return this.#postmaster.logFile
    }
    /** server_version_num, as in 170010. */
    get versionNum(): number {
        return this.#versionNum
    }
    /** Pid of the postmaster, undefined while it is down. */
    get pid(): number | undefined {
        return this.#postmaster.pid
    }

    /** Starts the server and waits until it takes connections. */
    async start(): Promise<void> {
        const deadline = Date.now() + DEADLINE_MS
        for (;;) {
            await this.#writeSettings()
            const logStart = this.log().length
            const { exit } = await this.#postmaster.start()
            if (await this.#ready(exit, deadline)) return
            const log = this.log().slice(logStart)
            if (!/could not bind/.test(log) || Date.now() > deadline) throw new Error(`${this.name} did not start:\n${log}`)
            // Someone was faster. Before the first start another port will do; later clients know this one.
            if (this.#versionNum === 0) this.#port = await freePort()
            else await sleep(100)
        }
    }

    stop(mode: StopMode = 'fast'): Promise<void> {
        return this.#postmaster.stop(mode)
    }

    /** SIGKILL to the postmaster and all its processes, as if the host had lost its power; restartable. */
    kill(): Promise<void> {
        return this.#postmaster.kill()
    }

    /** SIGSTOP to all processes: connections stay, the kernel still accepts new ones, nothing answers. */
    pause(): void {
        this.#postmaster.pause()
    }

    resume(): void {
        this.#postmaster.resume()
    }

    restart(mode: StopMode = 'fast'): Promise<void> {
        return this.stop(mode).then(() => this.start())
    }

    /** Changes settings, and restarts if the server runs. */
    async configure(settings: Settings): Promise<void> {
        this.#settings = { ...this.#settings, ...settings }
        if (this.pid) await this.restart()
        else await this.#writeSettings()
    }

    /** Changes settings and reloads; returns when the postmaster has read them. */
    async reload(settings: Settings): Promise<void> {
        this.#settings = { ...this.#settings, ...settings }
        await this.#writeSettings()
        // A new session inherits the load time of the postmaster that forked it.
        const loaded = async () => (await this.query('select pg_conf_load_time()::text as t'))[0]?.['t']
        const before = await loaded()
        await this.query('select pg_reload_conf()')
        await until(`${this.name} has reloaded`, async () => (await loaded()) !== before)
    }

    /** A connected client of the caller's, who ends it. A killed server does not take the test down with it. */
    async connect(login: Login & { readonly application_name?: string } = {}): Promise<Client> {
        const client = new Client({
            ...this.#login(login),
            application_name: login.application_name ?? 'test',
            connectionTimeoutMillis: 10_000,
            ssl: false
        })
        client.on('error', () => {
            /* the next query on this client reports it */
        })
        await client.connect()
        return client
    }

    /** Rows of one query on a connection of its own, as superuser. */
    async query<R extends QueryResultRow = Record<string, unknown>>(
        sql: string,
        params: readonly unknown[] = [],
        database = 'postgres'
    ): Promise<R[]> {
        const client = await this.connect({ database })
        try {
            // Without parameters the simple protocol, which also takes several statements: the last one's rows.
            const result = await (params.length > 0 ? client.query<R>(sql, [...params]) : client.query<R>(sql))
            return [result].flat().at(-1)?.rows ?? []
        } finally {
            await client.end()
        }
    }

    async createDatabase(name: string): Promise<void> {
        await this.query(`create database "${name}"`)
    }

    /** Ends its sessions. Fails on prepared transactions: finishing them is the test's job. */
    async dropDatabase(name: string): Promise<void> {
        await this.query(`drop database if exists "${name}" with (force)`)
    }

    url(login: Login = {}): string {
        const { user, password, database } = this.#login(login)
        const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`
        return `postgresql://${encodeURIComponent(user)}${secret}@${this.host}:${this.port}/${encodeURIComponent(database)}`
    }

    /** The same as PG* variables. */
    env(login: Login = {}): Readonly<Record<string, string>> {
        const { host, port, user, password, database } = this.#login(login)
        const variables = { PGHOST: host, PGPORT: String(port), PGUSER: user, PGDATABASE: database }
        return password === undefined ? variables : { ...variables, PGPASSWORD: password }
    }

    /** The server's log so far. */
    log(): string {
        return this.#postmaster.log()
    }

    /** A cold copy of the data directory: the server must be stopped. */
    async copyTo(target: string): Promise<void> {
        if (this.pid) throw new Error(`stop ${this.name} before it is copied`)
        await copyDataDir(this.dataDir, target)
    }

    /** Puts a cold copy made by copyTo back in place: the restore of a backup. */
    async restoreFrom(source: string): Promise<void> {
        if (this.pid) throw new Error(`stop ${this.name} before it is restored`)
        await rm(this.dataDir, { recursive: true, force: true })
        await copyDataDir(source, this.dataDir)
    }

    async destroy(): Promise<void> {
        clusters.delete(this)
        await this.stop('immediate')
        this.#postmaster.freeSegment()
        await rm(this.home, { recursive: true, force: true, maxRetries: 10 })
    }

    #login({ database = 'postgres', user = 'postgres', password }: Login) {
        const secret = password ?? (user === 'postgres' ? this.password : undefined)
        return { host: this.host, port: this.port, user, password: secret, database }
    }

    async #writeSettings(): Promise<void> {
        const lines = Object.entries({ ...this.#settings, port: this.#port })
            .filter(([, value]) => value !== null)
            .map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`)
        const path = join(this.dataDir, CONF_FILE)
        await writeFile(path, lines.join(''))
        await chmod(path, 0o644)
    }

    /** True once a connection works; false if the server exited instead. */
    async #ready(exit: Promise<unknown>, deadline: number): Promise<boolean> {
        let last: unknown
        while (Date.now() < deadline) {
            try {
                const [row] = await this.query('show server_version_num')
                // Another server may have the port; ours is then about to exit.
                if (!this.pid) return false
                this.#versionNum = Number(row?.['server_version_num'])
                return true
            } catch (error) {
                last = error
            }
            if (await within(exit, 20)) return false
        }
        throw new Error(`${this.name} took no connection in ${DEADLINE_MS} ms (${String(last)}):\n${this.log().slice(-4000)}`)
    }
}
