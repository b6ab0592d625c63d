/**
 * The fault points of the local COMMIT: comments in the product's own function, in whose place a test puts a wait for an
 * advisory lock. So they are free when off, and nobody but the function's owner
 * or a superuser can switch them on. Measured per point, on PostgreSQL 17: a comment nothing; an empty function called there 3 µs,
 * with a pinned search_path 6 µs; a row looked for in a table 5 µs; a setting looked up 0.3 µs, but any role can set one. What then runs is the shipped text with nothing but the waits added. An installation
 * takes them out again.
 */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Client } from 'pg'
import { until } from '../../support/wait'
import type { World } from '../../support/world'

const LOCK_CLASS = 4712

const FILE = join(resolve(__dirname, '..', '..', '..'), 'sql', 'internal', '_prepare_set.sql')
const MARK = /^ *-- fault point: ([a-z ]+)(?:, if (.+))?$/gm

/** Their names, in the order of the source. */
export const SQL_FAULT_POINTS: readonly string[] = [...readFileSync(FILE, 'utf8').matchAll(MARK)].map(([, name]) => name!)

function keyOf(point: string): number {
    const key = SQL_FAULT_POINTS.indexOf(point)
    if (key < 0) throw new Error(`${FILE} has no fault point "${point}"`)
    return key
}

const wait = (point: string): string =>
    ['lock', 'unlock'].map((verb) => `perform pg_advisory_${verb}_shared(${LOCK_CLASS}, ${keyOf(point)});`).join(' ')

/** Puts the waits in: from now on a COMMIT stops wherever a Stop is closed, and nowhere else. */
export async function armFaultPoints(world: World): Promise<void> {
    const [row] = await world.sql<{ source: string }>("select pg_get_functiondef('pglobalxact._prepare_set()'::regprocedure) as source")
    let armed = 0
    const source = row!.source.replace(MARK, (_, point: string, condition: string | undefined) => {
        armed += 1
        return condition === undefined ? wait(point) : `if ${condition} then ${wait(point)} end if;`
    })
    if (armed !== SQL_FAULT_POINTS.length) throw new Error(`${armed} of ${SQL_FAULT_POINTS.length} fault points are in the database`)
    await world.sql(source)
}

/** A point at which every COMMIT stops, until it is opened, or the coordinator is gone. */
export class Stop {
    private constructor(
        private readonly world: World,
        private readonly holder: Client,
        private readonly key: number
    ) {}

    static async close(world: World, point: string): Promise<Stop> {
        const holder = await world.coordinator.connect({ database: world.database })
        const key = keyOf(point)
        await holder.query('select pg_advisory_lock($1, $2)', [LOCK_CLASS, key])
        return new Stop(world, holder, key)
    }

    async reached(): Promise<void> {
        await until('the COMMIT stands at the fault point', async () => {
            const sql = "select from pg_locks where locktype = 'advisory' and classid = $1 and objid = $2 and not granted"
            return (await this.world.sql(sql, [LOCK_CLASS, this.key])).length > 0
        })
    }

    async open(): Promise<void> {
        await this.holder.end().catch(() => undefined)
    }
}
