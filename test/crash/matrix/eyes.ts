/** Looks at all servers again and again, on connections that are kept: a new one for each look would cost more than the look. */
import type { Client } from 'pg'
import type { Cluster } from '../../support/cluster'
import type { World } from '../../support/world'
import type { Balances } from '../support/ledger'

const PREPARED = "select gid from pg_prepared_xacts where database = current_database() and gid like 'pgx%' order by 1"
const BALANCE = 'select sum(balance)::float8 as balance from account'

export class Eyes {
    private readonly clients = new Map<Cluster, Client>()

    constructor(private readonly world: World) {}

    async prepared(): Promise<readonly string[]> {
        const rows = await Promise.all([...this.world.nodes.values()].map((node) => this.look<{ gid: string }>(node, PREPARED)))
        return rows.flat().map(({ gid }) => gid)
    }

    async outcomes(sets: readonly string[]): Promise<readonly string[]> {
        const sql = 'select pglobalxact.outcome(s) as outcome from unnest($1::text[]) s'
        return (await this.look<{ outcome: string }>(this.world.coordinator, sql, [sets])).map(({ outcome }) => outcome)
    }

    async balances(): Promise<Balances> {
        const servers: readonly (readonly [string, Cluster])[] = [['a', this.world.coordinator], ...this.world.nodes]
        const read = async (server: Cluster): Promise<number> => (await this.look<{ balance: number }>(server, BALANCE))[0]!.balance
        return Object.fromEntries(await Promise.all(servers.map(async ([name, server]) => [name, await read(server)] as const)))
    }

    /** Sets on the coordinator's books. */
    sets(): Promise<readonly object[]> {
        return this.look(this.world.coordinator, 'select * from pglobalxact.sets()')
    }

    async close(): Promise<void> {
        await Promise.all([...this.clients.values()].map((client) => client.end().catch(() => undefined)))
        this.clients.clear()
    }

    private async look<R extends object>(server: Cluster, sql: string, values: readonly unknown[] = []): Promise<R[]> {
        const client = this.clients.get(server) ?? (await server.connect({ database: this.world.database }))
        this.clients.set(server, client)
        try {
            return (await client.query<R>(sql, [...values])).rows
        } catch (error) {
            this.clients.delete(server)
            client.end().catch(() => undefined)
            throw error
        }
    }
}
