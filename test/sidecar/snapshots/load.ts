/** Money moved between all servers by sets of every kind, as fast as they go; each session has rows of its own and waits for nobody's locks. */
import type { Client } from 'pg'
import { PASSWORDS, type World } from '../../support/world'

const SESSIONS = 6
const EACH = 1000n

type Kind = (worker: Worker, amount: number) => Promise<void>

interface Worker {
    readonly id: number
    readonly client: Client
    /** A program's own connection to c. */
    readonly own: Client
}

const move = (worker: Worker, amount: number): string => `update pot set n = n + ${amount} where id = ${worker.id}`

const here = ({ client, ...worker }: Worker, amount: number): Promise<unknown> => client.query(move({ client, ...worker }, amount))

const there = ({ client, ...worker }: Worker, node: string, amount: number): Promise<unknown> =>
    client.query('select pglobalxact.exec($1, $2)', [node, move({ client, ...worker }, amount)])

const KINDS: readonly Kind[] = [
    async (worker, amount) => {
        await here(worker, -2 * amount)
        await there(worker, 'b', amount)
        await there(worker, 'c', amount)
    },
    async (worker, amount) => {
        await here(worker, -amount)
        await there(worker, 'b', amount)
    },
    async (worker, amount) => {
        await there(worker, 'b', -amount)
        await there(worker, 'c', amount)
    },
    async (worker, amount) => {
        // c is only read: that branch is committed plainly.
        await worker.client.query("select * from pglobalxact.query('c', 'select n from pot') as t (n bigint)")
        await there(worker, 'b', amount)
        await here(worker, -amount)
    },
    async (worker, amount) => {
        await there(worker, 'b', -amount)
        const { rows } = await worker.client.query<{ gid: string }>("select pglobalxact.enlist('c') as gid")
        await worker.own.query('begin')
        await worker.own.query(move(worker, amount))
        await worker.own.query(`prepare transaction '${rows[0]!.gid}'`)
    }
]

export class SnapshotLoad {
    committed = 0
    readonly failures: string[] = []
    private ending = false
    private workers: Promise<void>[] = []

    private constructor(readonly total: bigint) {}

    static async start(world: World): Promise<SnapshotLoad> {
        const rows = `create table if not exists pot (id int primary key, n bigint not null);
            insert into pot select i, ${EACH} from generate_series(1, ${SESSIONS}) i on conflict do nothing`
        await Promise.all([
            world.sql(`${rows}; grant all on pot to app`),
            ...[...world.nodes.keys()].map((node) => world.node(node, `${rows}; grant all on pot to node_app`))
        ])
        const load = new SnapshotLoad(EACH * BigInt(SESSIONS * (world.nodes.size + 1)))
        load.workers = Array.from({ length: SESSIONS }, (_, index) => load.work(world, index + 1))
        return load
    }

    async end(): Promise<void> {
        this.ending = true
        await Promise.all(this.workers)
    }

    private async work(world: World, id: number): Promise<void> {
        const client = await world.coordinator.connect(world.login('app'))
        const own = await world.nodes.get('c')!.connect({ database: world.database, user: 'node_app', password: PASSWORDS.node_app })
        try {
            for (let round = id; !this.ending; round++) {
                await client.query('begin')
                await KINDS[round % KINDS.length]!({ id, client, own }, (round % 7) - 3)
                await client.query('commit')
                this.committed += 1
            }
        } catch (error) {
            this.failures.push(String(error))
        } finally {
            await client.end()
            await own.end()
        }
    }
}
