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

const MARK = /^ *-- fault point: ([a-z ]+)(?:, if (.+))?$/gm

/** A function with fault points. */
export interface Faulty {
    readonly signature: string
    /** Their names, in the order of the source. */
    readonly points: readonly string[]
}

function faulty(directory: string, signature: string): Faulty {
    const file = join(resolve(__dirname, '..', '..', '..'), 'sql', directory, `${signature.replace(/\(.*/, '')}.sql`)
    return { signature, points: [...readFileSync(file, 'utf8').matchAll(MARK)].map(([, name]) => name!) }
}

const LOCAL_COMMIT = faulty('internal', '_prepare_set()')

export const SQL_FAULT_POINTS = LOCAL_COMMIT.points

/** The doorbell: the session's side, inside the local COMMIT too, and the sidecar's. */
export const BELL = faulty('internal', '_ring()')
export const SLEEPER: readonly Faulty[] = [
    faulty('sidecar', '_stay_awake()'),
    faulty('sidecar', '_fall_asleep(boolean)'),
    faulty('sidecar', '_look(pg_snapshot, interval, integer, xid8, text)')
]

const ALL: readonly string[] = [LOCAL_COMMIT, BELL, ...SLEEPER].flatMap(({ points }) => points)

function keyOf(point: string): number {
    const key = ALL.indexOf(point)
    if (key < 0 || ALL.indexOf(point, key + 1) > 0) throw new Error(`no fault point, or more than one, is called "${point}"`)
    return key
}

/** However long: a function that waits for locks of its own for a moment only (_stay_awake) would be gone before anyone has looked. */
const wait = (point: string): string =>
    "perform set_config('test.lock_timeout', current_setting('lock_timeout'), true), set_config('lock_timeout', '0', true); " +
    ['lock', 'unlock'].map((verb) => `perform pg_advisory_${verb}_shared(${LOCK_CLASS}, ${keyOf(point)}); `).join('') +
    "perform set_config('lock_timeout', current_setting('test.lock_timeout'), true);"

/**
 * Puts the waits in: from now on whoever comes by stops wherever a Stop is closed, and nowhere else; `only`: a condition on who that is.
 */
export async function armFaultPoints(world: World, { signature, points }: Faulty = LOCAL_COMMIT, only?: string): Promise<void> {
    const [row] = await world.sql<{ source: string }>(`select pg_get_functiondef('pglobalxact.${signature}'::regprocedure) as source`)
    let armed = 0
    const source = row!.source.replace(MARK, (_, point: string, condition: string | undefined) => {
        armed += 1
        const conditions = [condition, only].filter((one) => one !== undefined)
        return conditions.length === 0 ? wait(point) : `if ${conditions.join(' and ')} then ${wait(point)} end if;`
    })
    if (armed !== points.length) throw new Error(`${armed} of ${points.length} fault points of ${signature} are in the database`)
    await world.sql(source)
}

/** A point at which everyone stops, until it is opened, or the coordinator is gone. */
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
        await until(`somebody stands at the fault point "${ALL[this.key]}"`, () => this.holds())
    }

    async holds(): Promise<boolean> {
        const sql = "select from pg_locks where locktype = 'advisory' and classid = $1 and objid = $2 and not granted"
        return (await this.world.sql(sql, [LOCK_CLASS, this.key])).length > 0
    }

    async open(): Promise<void> {
        await this.holder.end().catch(() => undefined)
    }
}
