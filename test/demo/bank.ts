/** The bank of the demo and the playground: a coordinator and two nodes, set up as README.md tells a DBA to. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { startCluster, type Cluster, type Login } from '../support/cluster'
import { runCommand, startSidecar, type Sidecar } from '../support/process'
import { until } from '../support/wait'
import { workDir } from '../support/workdir'

export const COORDINATOR = 'zurich'
export const NODES = ['london', 'tokyo'] as const
export type Node = (typeof NODES)[number]
export type Place = typeof COORDINATOR | Node
export const PLACES: readonly Place[] = [COORDINATOR, ...NODES]

const DATABASE = 'bank'
const HOLDERS: Readonly<Record<Place, string>> = { zurich: 'alice', london: 'bob', tokyo: 'carol' }
const BALANCE = 1000
export const TOTAL = PLACES.length * BALANCE

/** The default waits up to 30 s before it looks at a dead node again: an audience should not have to. */
const SIDECAR_ARGS = ['--retry-cap', '1000'] as const

type Role = 'app' | 'dba' | 'pglobalxact'

export class Bank {
    sidecar: Sidecar | undefined
    /** Replaced by a test that loses it. */
    stateDir = newStateDir()

    private constructor(
        /** Another server in a place after a failover. */
        readonly servers: Record<Place, Cluster>,
        private readonly passwords: Readonly<Record<Role, string>>
    ) {}

    /** Starts the servers, with an empty database each, and runs "make install-sql" on the coordinator. */
    static async start(password: () => string = secret): Promise<Bank> {
        const [zurich, london, tokyo] = await Promise.all(PLACES.map((name) => startCluster({ name })))
        const bank = new Bank(
            { zurich: zurich!, london: london!, tokyo: tokyo! },
            { app: password(), dba: password(), pglobalxact: password() }
        )
        await Promise.all(Object.values(bank.servers).map((server) => server.createDatabase(DATABASE)))
        const { code, stderr } = await runCommand(['install'], bank.servers[COORDINATOR].env({ database: DATABASE }))
        if (code !== 0) throw new Error(`install failed: ${stderr}`)
        return bank
    }

    /** The same with roles, accounts, nodes and a sidecar. */
    static async open(password?: () => string): Promise<Bank> {
        const bank = await Bank.start(password)
        await Promise.all(
            PLACES.map((place) =>
                bank.run(place, place === COORDINATOR ? 'coordinator' : 'node', { holder: HOLDERS[place], balance: BALANCE })
            )
        )
        for (const node of NODES) {
            const { host, port } = bank.servers[node]
            await bank.run(COORDINATOR, 'server', { node, host, port })
        }
        await bank.startSidecar()
        for (const node of NODES) await bank.query(COORDINATOR, 'select * from pglobalxact.add_node($1)', [node])
        return bank
    }

    /** Runs a file of sql/ as superuser, its @words@ filled in. */
    async run(place: Place, file: string, words: Readonly<Record<string, string | number>> = {}): Promise<void> {
        const values = new Map<string, string | number>(Object.entries({ ...this.passwords, ...words }))
        const text = readFileSync(join(__dirname, 'sql', `${file}.sql`), 'utf8')
        await this.query(
            place,
            text.replace(/@(\w+)@/g, (whole, word: string) => String(values.get(word) ?? whole))
        )
    }

    /** Rows of a query as superuser. */
    query<R extends Record<string, unknown>>(place: Place, sql: string, params: readonly unknown[] = []): Promise<R[]> {
        return this.servers[place].query<R>(sql, params, DATABASE)
    }

    /** How a role logs in at the coordinator. */
    login(user: Role): Required<Login> {
        return { database: DATABASE, user, password: this.passwords[user] }
    }

    /** Starts the sidecar and waits until it acts, or says something else. */
    async startSidecar(args: readonly string[] = [], says = / acting /): Promise<Sidecar> {
        this.sidecar = startSidecar({
            stateDir: this.stateDir,
            databaseUrl: this.servers[COORDINATOR].url(this.login('pglobalxact')),
            args: [...SIDECAR_ARGS, ...args]
        })
        await this.sidecar.waitForLog(says)
        return this.sidecar
    }

    async balance(place: Place): Promise<number> {
        const [row] = await this.query<{ sum: string }>(place, 'select sum(balance) from account')
        return Number(row?.sum)
    }

    /** Waits until no set is on the books. */
    settled(): Promise<unknown> {
        return until('every set is over', async () => (await this.query(COORDINATOR, 'select from pglobalxact.sets()')).length === 0)
    }

    /** The state files' lines that name a set, as cat shows them. */
    stateLines(): string[] {
        return readdirSync(this.stateDir)
            .filter((name) => /^state-\d+\.log$/.test(name))
            .flatMap((name) => readFileSync(join(this.stateDir, name), 'utf8').split('\n'))
            .filter((line) => /^\d+_/.test(line))
    }

    /** Gids of the branches that are prepared on a node. */
    async prepared(node: Node): Promise<string[]> {
        const rows = await this.query<{ gid: string }>(node, 'select gid from pg_prepared_xacts order by 1')
        return rows.map((row) => row.gid)
    }
}

/** An empty state directory. */
export const newStateDir = (): string => mkdtempSync(join(workDir(), 'state-'))

const secret = (): string => randomBytes(12).toString('hex')
