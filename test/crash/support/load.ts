/**
 * Sets of many sessions at once, each adding a row of its own on every server: so what became of a set can be read anywhere, one by
 * one, and no set waits for another's locks.
 */
import type { Client } from 'pg'
import { until } from '../../support/wait'
import type { World } from '../../support/world'

export interface Deed {
    /** Its row has this id on every server. */
    readonly id: number
    /** Undefined while its first statement runs. */
    set?: string
    /** What its client was told; undefined while it waits for an answer, or when the connection broke. */
    told?: 'committed' | 'failed'
}

const FIRST = 1_000_000
let last = FIRST

export class Load {
    readonly deeds: Deed[] = []
    private ending = false
    private paused: { readonly over: Promise<void>; readonly resume: () => void } | undefined
    private readonly workers: Promise<void>[]

    /** `most`: how many sets in all; `before`: run by every session first, such as a SET. */
    constructor(
        private readonly world: World,
        private readonly options: { readonly sessions?: number; readonly most?: number; readonly before?: string } = {}
    ) {
        this.workers = Array.from({ length: options.sessions ?? 4 }, () => this.work())
    }

    get committed(): readonly Deed[] {
        return this.deeds.filter((deed) => deed.told === 'committed')
    }

    /** Waits until so many more sets were told to be committed. */
    async more(count: number): Promise<void> {
        const from = this.committed.length
        await until(`${count} more sets are committed`, () => this.committed.length >= from + count)
    }

    /** No new sets for a while: where nobody finishes them, the slots of the nodes must not run out. */
    pause(): void {
        let resume = (): void => {}
        const over = new Promise<void>((done) => {
            resume = done
        })
        this.paused = { over, resume }
    }

    resume(): void {
        this.paused?.resume()
        this.paused = undefined
    }

    /** No new sets; returns when the sessions have their answers, or are broken. */
    async end(): Promise<void> {
        this.ending = true
        this.resume()
        await Promise.all(this.workers)
    }

    private async work(): Promise<void> {
        const client = await this.world.coordinator.connect(this.world.login('app'))
        try {
            if (this.options.before !== undefined) await client.query(this.options.before)
            while ((await this.mayBegin()) && (await this.one(client)));
        } catch {
            // The connection is gone, with the server.
        } finally {
            await client.end().catch(() => undefined)
        }
    }

    private async mayBegin(): Promise<boolean> {
        while (this.paused) await this.paused.over
        return !this.ending && this.deeds.length < (this.options.most ?? Infinity)
    }

    /** One set; false when its connection broke: then nobody was told what became of it. */
    private async one(client: Client): Promise<boolean> {
        const deed: Deed = { id: ++last }
        this.deeds.push(deed)
        try {
            await client.query(`begin; insert into account values (${deed.id}, 0)`)
            for (const node of this.world.nodes.keys()) {
                await client.query('select pglobalxact.exec($1, $2)', [node, `insert into account values (${deed.id}, 0)`])
                deed.set ??= (await client.query<{ id: string }>('select pglobalxact.set_id() as id')).rows[0]!.id
            }
            await client.query('commit')
            deed.told = 'committed'
            return true
        } catch (error) {
            if (!isAnswer(error)) return false
            deed.told = 'failed'
            await client.query('rollback')
            return true
        }
    }
}

/** The coordinator's own word on the set. FATAL, as when it goes down, and a broken connection say nothing of a COMMIT under way. */
const isAnswer = (error: unknown): boolean => error instanceof Error && 'severity' in error && error.severity === 'ERROR'

/** Ids of the rows that sets have added on each server. */
export async function rowsEverywhere(world: World): Promise<Readonly<Record<string, readonly number[]>>> {
    const sql = `select id from account where id > ${FIRST} order by id`
    const ids = (rows: readonly { id: number }[]): number[] => rows.map((row) => row.id)
    const all: Record<string, readonly number[]> = { a: ids(await world.sql<{ id: number }>(sql)) }
    for (const name of world.nodes.keys()) all[name] = ids(await world.node<{ id: number }>(name, sql))
    return all
}
