/** A client: runs sets one after the other, whatever happens to its connection, and keeps its own log of what it was told. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, DatabaseError } from 'pg'
import { within } from '../support/wait'
import { PASSWORDS } from '../support/world'
import type { Ground } from './ground'
import type { Random } from './random'
import { counterOf, NODES, POTS, stepSql, TRACKS, type Step } from './tables'

export type Told = 'committed' | 'rolled back' | 'nothing'

/** One set, in the client's own words. */
export interface Statement {
    readonly tag: string
    readonly nodes: readonly string[]
    readonly amounts: Readonly<Record<string, number>>
    setId: string | undefined
    told: Told
    /** await() said that it is committed on all nodes, and this node did not show it then. */
    unread: string[]
}

type Way = 'exec' | 'enlist'

const PATIENCE = 3000
const OWN_ROLLBACK = 0.08
const AWAITED = 0.05
/** Of the sets; they make rings, which only a time-out ends. */
const ANY_ORDER = 0.1
/** What a server says when it, or the connection, goes away: the fate of a COMMIT is not known then. */
const NOTHING_TOLD = /^(08...|57P0.|40003)$/

export class ChaosClient {
    readonly statements: Statement[] = []
    private session: Client | undefined
    private stopped = false
    private running: Promise<void> | undefined
    private sets = 0

    constructor(
        private readonly ground: Ground,
        readonly name: string,
        private readonly random: Random
    ) {}

    start(): void {
        this.running = this.loop()
    }

    async stop(): Promise<void> {
        this.stopped = true
        await this.running
        await this.session?.end().catch(() => undefined)
    }

    /** As SIGKILL to a client's process: its server learns it from the kernel. */
    kill(): void {
        this.session?.connection.stream.destroy()
    }

    private async loop(): Promise<void> {
        while (!this.stopped) {
            this.session ??= await this.connect()
            if (this.session === undefined) await sleep(100)
            else await this.set(this.session)
            await sleep(this.random.int(2, 15))
        }
    }

    private async connect(): Promise<Client | undefined> {
        const { world, links } = this.ground
        const client = open(links.get('clients')!.port, world.database, 'app', PASSWORDS.app)
        try {
            await client.connect()
            client.once('end', () => {
                if (this.session === client) this.session = undefined
            })
            await client.query(`set statement_timeout = '1500ms'; set lock_timeout = '500ms'; set application_name = '${this.name}'`)
            return client
        } catch {
            drop(client)
            return undefined
        }
    }

    private async set(session: Client): Promise<void> {
        const statement = this.invent()
        this.statements.push(statement)
        const asked = { commit: false }
        try {
            await this.work(session, statement)
            if (this.random.chance(OWN_ROLLBACK)) {
                await session.query('rollback')
                return
            }
            asked.commit = true
            // Until told otherwise.
            statement.told = 'nothing'
            const { command } = await session.query('commit')
            statement.told = command === 'COMMIT' ? 'committed' : 'rolled back'
        } catch (error) {
            const definite = error instanceof DatabaseError && !NOTHING_TOLD.test(error.code ?? '')
            if (definite || !asked.commit) statement.told = 'rolled back'
            if (definite) await session.query('rollback').catch(() => this.giveUp(session))
            else this.giveUp(session)
            return
        }
        if (statement.told === 'committed' && this.random.chance(AWAITED)) await this.readBack(session, statement)
    }

    private invent(): Statement {
        const some = this.random.shuffled(NODES).slice(0, this.random.pick([1, 2, 2, 3, 3]))
        const nodes = this.random.chance(ANY_ORDER) ? some : some.sort()
        const amounts = Object.fromEntries(nodes.map((node) => [node, this.random.int(1, 50)]))
        return { tag: `${this.name}-${++this.sets}`, nodes, amounts, setId: undefined, told: 'rolled back', unread: [] }
    }

    /** The coordinator's part first or last, the nodes mostly in order: sets conflict, and now and then wait for each other in a ring. */
    private async work(session: Client, statement: Statement): Promise<void> {
        const { tag, nodes, amounts } = statement
        const step = (amount: number): Step => ({
            tag,
            track: trackOf(tag),
            counter: counterOf(nodes, trackOf(tag)),
            pot: this.random.int(1, POTS),
            amount
        })
        const local = stepSql(step(-nodes.reduce((sum, node) => sum + amounts[node]!, 0)))
        const first = this.random.chance(0.6)
        await session.query('begin')
        if (first) await session.query(local)
        for (const [n, node] of nodes.entries()) {
            const way: Way = n === 0 && this.random.chance(0.1) ? 'enlist' : 'exec'
            if (way === 'exec') await session.query('select pglobalxact.exec($1, $2)', [node, stepSql(step(amounts[node]!))])
            else await this.enlist(session, node, stepSql(step(amounts[node]!)))
            if (n > 0) continue
            const { rows } = await session.query<{ id: string }>('select pglobalxact.set_id() as id')
            statement.setId = rows[0]!.id
        }
        if (!first) await session.query(local)
    }

    /** A branch of the program's own: if it dies between PREPARE and COMMIT, recovery finds what it left. */
    private async enlist(session: Client, node: string, sql: string): Promise<void> {
        const { rows } = await session.query<{ gid: string }>('select pglobalxact.enlist($1) as gid', [node])
        const own = open(this.ground.links.get(node)!.port, this.ground.world.database, 'node_app', PASSWORDS.node_app)
        try {
            await own.connect()
            await own.query("set statement_timeout = '1500ms'")
            await own.query('begin')
            await own.query(sql)
            await own.query(`prepare transaction '${rows[0]!.gid}'`)
            await own.end()
        } catch (error) {
            drop(own)
            throw new DatabaseError(`enlisted branch: ${error instanceof Error ? error.message : String(error)}`, 0, 'error')
        }
    }

    /** Whoever was told by await() that a set is committed on all nodes must be able to read it there. */
    private async readBack(session: Client, statement: Statement): Promise<void> {
        try {
            const { rows } = await session.query<{ outcome: string }>("select pglobalxact.await(timeout => '2 s') as outcome")
            if (rows[0]!.outcome !== 'committed') return
        } catch {
            return
        }
        // Reading waits for a node that is down, and is given up then.
        const look = Promise.all(
            statement.nodes.map(async (node) => {
                const found = await this.ground.world.node(node, 'select from entry where tag = $1', [statement.tag])
                if (found.length === 0) statement.unread.push(node)
            })
        ).catch(() => undefined)
        await within(look, 2000)
    }

    private giveUp(session: Client): void {
        if (this.session === session) this.session = undefined
        drop(session)
    }
}

/** The same on every server of the set. */
const trackOf = (tag: string): number => 1 + ([...tag].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7) % TRACKS)

function open(port: number, database: string, user: string, password: string): Client {
    const client = new Client({
        host: '127.0.0.1',
        port,
        database,
        user,
        password,
        ssl: false,
        connectionTimeoutMillis: 2000,
        query_timeout: PATIENCE
    })
    client.on('error', () => undefined)
    return client
}

const drop = (client: Client): void => void client.connection.stream.destroy()
