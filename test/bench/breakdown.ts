/**
 * Where the time of one set goes, by the servers' own books: statements and functions are counted in rounds of their own, since the
 * counting costs something too.
 */
import type { Client } from 'pg'
import type { Settings } from '../support/cluster'
import { until } from '../support/wait'
import { runCell, type Cell, type CellOptions } from './cell'
import type { Fleet } from './fleet'
import type { Ground } from './ground'
import type { Point } from './options'
import { variantNamed } from './variants'

export interface Line {
    readonly what: string
    /** Per transfer. */
    readonly calls: number
    /** Microseconds per transfer, all calls together; of a function without those that it called. */
    readonly us: number
}

export interface Breakdown {
    readonly variant: string
    readonly sessions: number
    readonly branches: number
    readonly cell: Cell
    /** Of programs, dblink, the sidecar, and of triggers at the COMMIT: a string of several counts each of them. */
    readonly statements: { readonly coordinator: readonly Line[]; readonly nodes: readonly Line[] }
    /** Those within functions, on the coordinator. */
    readonly nested: readonly Line[]
    readonly functions: readonly (Line & { readonly language: string })[]
}

const COUNTING: Settings = { 'pg_stat_statements.track': 'all', compute_query_id: 'on', track_functions: 'all' }
const QUIET: Settings = { 'pg_stat_statements.track': 'none', compute_query_id: 'off', track_functions: 'none' }

const RESET = 'select pg_stat_reset(), pg_stat_statements_reset()'

/** Without the bench's own, which it runs as superuser; functions may run as superuser within. */
const STATEMENTS = `select left(regexp_replace(query, '\\s+', ' ', 'g'), 160) as what, calls::float8, total_exec_time * 1000 as us
    from pg_stat_statements s where dbid = (select oid from pg_database where datname = current_database()) and toplevel = $1
    and (not toplevel or userid <> 'postgres'::regrole)`

const FUNCTIONS = `select f.schemaname || '.' || f.funcname as what, f.calls::float8, f.self_time * 1000 as us, l.lanname as language
    from pg_stat_user_functions f join pg_proc p on p.oid = f.funcid join pg_language l on l.oid = p.prolang`

async function lines<L extends Line>(control: Client, query: string, transfers: number, values: readonly unknown[] = []): Promise<L[]> {
    const { rows } = await control.query<L & { [key: string]: unknown }>(query, [...values])
    return rows.map((row) => ({ ...row, calls: row.calls / transfers, us: row.us / transfers })).sort((a, b) => b.us - a.us)
}

/** What the same gids and numbers made different is one statement here. */
function merged(all: readonly Line[]): Line[] {
    const by = new Map<string, Line>()
    for (const { what, calls, us } of all) {
        const name = what.replace(/'[^']*'/g, "'…'")
        const known = by.get(name)
        by.set(name, { what: name, calls: calls + (known?.calls ?? 0), us: us + (known?.us ?? 0) })
    }
    return [...by.values()].sort((a, b) => b.us - a.us)
}

/** A session's counts of functions are there once it is gone, before PostgreSQL 15 a little later. */
async function counted(control: Client, variant: string, transfers: number): Promise<void> {
    const { entry } = variantNamed(variant)
    await until('the sessions of the programs have ended, and their functions are counted', async () => {
        const { rows } = await control.query<{ sessions: number; calls: number }>(
            `select (select count(*)::int from pg_stat_activity where application_name = 'bench') as sessions,
                    (select coalesce(sum(calls), 0)::int from pg_stat_user_functions where funcname = $1) as calls`,
            [entry]
        )
        return rows[0]!.sessions === 0 && (entry === undefined || rows[0]!.calls >= transfers)
    })
}

export async function breakDown(ground: Ground, fleet: Fleet, point: Point, variant: string, options: CellOptions): Promise<Breakdown> {
    const servers = [ground.coordinator, ...ground.servers]
    const nodes = ground.nodes.slice(0, point.branches).map(({ control }) => control)
    await Promise.all(servers.map((server) => server.reload(COUNTING)))
    await Promise.all([ground.control, ...nodes].map((control) => control.query(RESET)))
    const cell = await runCell(ground, fleet, point, variant, options)
    const transfers = cell.transfers + cell.warmup
    await counted(ground.control, variant, transfers)
    const found: Breakdown = {
        variant,
        sessions: point.sessions,
        branches: point.branches,
        cell,
        statements: {
            coordinator: merged(await lines(ground.control, STATEMENTS, transfers, [true])),
            nodes: merged((await Promise.all(nodes.map((node) => lines(node, STATEMENTS, transfers, [true])))).flat())
        },
        nested: merged(await lines(ground.control, STATEMENTS, transfers, [false])),
        functions: await lines(ground.control, FUNCTIONS, transfers)
    }
    await Promise.all(servers.map((server) => server.reload(QUIET)))
    return found
}
