/** Steady load: sessions that each run sets at a fixed pace, and now and then a plain local transaction to compare with. */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import type { World } from '../../support/world'

export const ACCOUNTS = 1000
const OPENING = 1_000_000
const CONTROL_EVERY = 15 // sets of a session

/** What was measured since the last sample. */
export interface Window {
    /** Milliseconds that COMMIT of a set took. */
    readonly commits: number[]
    /** Milliseconds that COMMIT of a local transaction took, with one row changed and no set. */
    readonly controls: number[]
    errors: number
    lastError: string | undefined
}

const fresh = (): Window => ({ commits: [], controls: [], errors: 0, lastError: undefined })

export async function prepareTables(world: World): Promise<void> {
    const create = (owner: string): string => `
        create table pot (id int primary key, balance bigint not null) with (fillfactor = 70);
        insert into pot select i, ${OPENING} from generate_series(1, ${ACCOUNTS}) i;
        grant all on pot to ${owner}`
    await world.sql(create('app'))
    for (const node of world.nodes.keys()) await world.node(node, create('node_app'))
}

/** Money in all: it must not have changed. */
export async function moneyMissing(world: World): Promise<number> {
    const sum = 'select sum(balance)::float8 as sum from pot'
    const all = await Promise.all([
        world.sql<{ sum: number }>(sum),
        ...[...world.nodes.keys()].map((n) => world.node<{ sum: number }>(n, sum))
    ])
    return all.length * ACCOUNTS * OPENING - all.reduce((total, rows) => total + rows[0]!.sum, 0)
}

export class Load {
    private window = fresh()
    private stopped = false
    private readonly running: Promise<void>[] = []
    readonly pids: number[] = []

    constructor(
        private readonly world: World,
        private readonly sessions: number,
        /** Sets per second, of all sessions together. */
        private readonly rate: number
    ) {}

    async start(): Promise<void> {
        for (let n = 0; n < this.sessions; n++) {
            const client = await this.world.connect('app')
            this.pids.push((await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid)
            this.running.push(this.session(client, n))
        }
    }

    /** What was measured since the last call. */
    take(): Window {
        const taken = this.window
        this.window = fresh()
        return taken
    }

    async stop(): Promise<void> {
        this.stopped = true
        await Promise.all(this.running)
    }

    /** Paced by the clock, not by the answers: a slow answer is not a reason to ask less often. */
    private async session(client: Client, turn: number): Promise<void> {
        const every = (this.sessions * 1000) / this.rate
        const begin = performance.now() + (turn * 1000) / this.rate
        for (let n = 0; !this.stopped; n++) {
            const due = begin + n * every
            const early = due - performance.now()
            if (early > 0) await sleep(early)
            // So late that the backlog would be run at full speed: those sets are dropped, not caught up.
            else if (early < -10 * every) n += Math.floor(-early / every)
            await (n % CONTROL_EVERY === turn ? this.control(client) : this.set(client)).catch(async (error: unknown) => {
                this.window.errors += 1
                this.window.lastError = error instanceof Error ? error.message : String(error)
                await client.query('rollback').catch(() => undefined)
            })
        }
    }

    /** One row on each server, always in the same order of servers: no deadlock. */
    private async set(client: Client): Promise<void> {
        const nodes = [...this.world.nodes.keys()]
        await client.query('begin')
        await client.query('update pot set balance = balance - $1 where id = $2', [nodes.length, 1 + randomInt(ACCOUNTS)])
        for (const node of nodes)
            await client.query('select pglobalxact.exec($1, $2)', [
                node,
                `update pot set balance = balance + 1 where id = ${1 + randomInt(ACCOUNTS)}`
            ])
        this.window.commits.push(await timed(client))
    }

    private async control(client: Client): Promise<void> {
        await client.query('begin')
        await client.query('update pot set balance = balance where id = $1', [1 + randomInt(ACCOUNTS)])
        this.window.controls.push(await timed(client))
    }
}

async function timed(client: Client): Promise<number> {
    const began = performance.now()
    await client.query('commit')
    return performance.now() - began
}
