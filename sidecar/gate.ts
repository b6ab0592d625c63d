import { setTimeout as sleep } from 'node:timers/promises'
import type { Client, QueryResultRow } from 'pg'
import type { ConnectionConfig } from './connection'
import { coordinatorSession } from './coordinatorsession'
import type { Prepared } from './node'
import type { Verdict } from './records'
import { RequestError } from './request'
import { destroy } from './session'
import { classify, messageOf } from './sqlstate'

export const TOO_LATE = '57014'
const SPARE = 5000 // ms: what waits for a lock gives way by itself before a statement is cut off
const ANSWER = 10_000 // ms that a statement at the gate may take beyond what it waits for, before the connection is given up

/**
 * The gate, closed: no set commits, and the commit of none is under way (sql/sidecar/_close_gate.sql has the argument). It is a
 * transaction of a session of its own, so it opens when that ends, whatever ends it: this process killed or frozen, its host cut
 * off. The server sees to that by itself, within the limit. What was done behind a closed gate counts only if prove() said afterwards that it still was closed.
 */
export class Gate {
    private constructor(
        private readonly client: Client,
        readonly closedAt: Date,
        private readonly began: number,
        private readonly limit: number
    ) {}

    /** `limit`: milliseconds that commits may be held, from the first that waits. */
    static async close(connection: ConnectionConfig, limit: number): Promise<Gate> {
        const client = await coordinatorSession({ ...connection, query_timeout: limit + ANSWER }, 'pglobalxact sidecar (gate)')
        try {
            await client.query('begin isolation level read committed read write')
            await client.query("select set_config('statement_timeout', $1, true)", [`${limit + SPARE}ms`])
            const began = performance.now()
            const closedAt = new Date()
            await client.query('select pglobalxact._close_gate($1)', [`${limit} ms`])
            return new Gate(client, closedAt, began, limit)
        } catch (error) {
            destroy(client)
            throw lost(limit, error)
        }
    }

    get timeLeft(): number {
        return this.limit - this.closedFor
    }

    /** Milliseconds. */
    get closedFor(): number {
        return performance.now() - this.began
    }

    /** What is decided about branches that were seen prepared on a node, with the gate closed. */
    async decide(node: number, branches: readonly Pick<Prepared, 'gid' | 'xid'>[]): Promise<readonly Verdict[]> {
        const values = [node, branches.map(({ gid }) => gid), branches.map(({ xid }) => xid)]
        return this.ask<Verdict>('select * from pglobalxact._decide($1, $2, $3)', values)
    }

    /** Rows of a query in the gate's transaction. */
    async ask<T extends QueryResultRow>(sql: string, values: unknown[] = []): Promise<readonly T[]> {
        const answer = this.client.query<T>(sql, values)
        return (await answer.catch((error: unknown) => Promise.reject(lost(this.limit, error)))).rows
    }

    /** Returns if it was closed all the while: the same transaction still holds its locks. */
    async prove(): Promise<void> {
        await this.ask('select 1')
    }

    /** Opens it with what was written in its transaction: no set commits before that is committed. */
    async commit(): Promise<void> {
        await this.ask('commit')
    }

    /** Returns for how many milliseconds commits were held. */
    async open(): Promise<number> {
        await this.client.query('rollback').catch(() => undefined)
        const held = this.closedFor
        destroy(this.client)
        return held
    }
}

/** Runs `work`, but not for longer than the gate may be closed. What comes of it later is nobody's. */
export async function inTime<T>(gate: Gate, limit: number, work: Promise<T>): Promise<T> {
    const over = new AbortController()
    const late = sleep(Math.max(gate.timeLeft, 1), undefined, { signal: over.signal }).then(() => {
        throw tooLate(limit, 'Some server did not answer in time.')
    })
    late.catch(() => undefined)
    try {
        return await Promise.race([work, late])
    } finally {
        over.abort()
    }
}

/** The server has ended the gate's session, or cannot be heard: then it will. Other errors say themselves what they are. */
const lost = (limit: number, error: unknown): unknown =>
    classify(error).trouble === 'unknown' ? tooLate(limit, `The gate was opened before that: ${messageOf(error)}.`) : error

export const tooLate = (limit: number, detail: string): RequestError =>
    new RequestError(
        TOO_LATE,
        `not done within ${limit} ms, in which commits of sets were held: they go on`,
        'Try again, with a longer timeout if need be; see: select * from pglobalxact.nodes(); and select * from pglobalxact.branches();',
        detail
    )
