/** What is read every few seconds: the sidecar's memory, its directory, the tables, the nodes, and the latency of the load. */
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { scrape } from '../../sidecar/scraped'
import type { World } from '../../support/world'
import { median, percentile } from '../stats'
import { halfCommitted } from '../window'
import type { Load } from './load'

export interface TableSize {
    readonly name: string
    /** With indexes and TOAST. */
    readonly bytes: number
    readonly dead: number
}

export interface Sample {
    /** Seconds since the load began. */
    readonly at: number
    readonly rss: number
    readonly heap: number
    readonly stateBytes: number
    readonly tables: readonly TableSize[]
    /** Memory of the coordinator's backends that serve the load, anonymous pages only: their median. */
    readonly backend: number
    readonly sessions: number
    readonly prepared: number
    readonly sets: number
    readonly errors: number
    readonly lastError: string | undefined
    readonly p50: number
    readonly p99: number
    readonly control: number
    /** Milliseconds that the sets completed since the last sample stood half-committed. */
    readonly windows: readonly number[]
}

export async function takeSample(world: World, load: Load, began: number, every: number): Promise<Sample> {
    const metrics = await scrape(world.sidecar!)
    const window = load.take()
    return {
        at: (performance.now() - began) / 1000,
        rss: metrics.value('process_resident_memory_bytes')!,
        heap: metrics.value('nodejs_heap_size_used_bytes')!,
        stateBytes: directoryBytes(world.stateDir),
        tables: await tables(world),
        backend: median(load.pids.map(anonymous)) ?? 0,
        ...(await counts(world)),
        sets: window.commits.length,
        errors: window.errors,
        lastError: window.lastError,
        p50: median(window.commits) ?? 0,
        p99: percentile(window.commits, 0.99) ?? 0,
        control: median(window.controls) ?? 0,
        windows: await halfCommitted(world, every)
    }
}

/** A file may be replaced by a compacted one between the listing and the look. */
function directoryBytes(directory: string): number {
    const size = (name: string): number => statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0
    return readdirSync(directory).reduce((sum, name) => sum + size(name), 0)
}

const anonymous = (pid: number): number => {
    try {
        return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
    } catch {
        return 0
    }
}

const tables = (world: World): Promise<TableSize[]> =>
    world.sql<TableSize & Record<string, unknown>>(
        `select relname as name, pg_total_relation_size(relid)::float8 as bytes, n_dead_tup::float8 as dead
         from pg_stat_user_tables where schemaname = 'pglobalxact' order by 1`
    )

async function counts(world: World): Promise<{ sessions: number; prepared: number }> {
    const count = `select (select count(*)::int from pg_stat_activity where backend_type = 'client backend' and datname = current_database()) as sessions,
                          (select count(*)::int from pg_prepared_xacts) as prepared`
    const all = await Promise.all([
        world.sql<{ sessions: number; prepared: number }>(count),
        ...[...world.nodes.keys()].map((n) => world.node<{ sessions: number; prepared: number }>(n, count))
    ])
    const total = (key: 'sessions' | 'prepared'): number => all.reduce((sum, rows) => sum + rows[0]![key], 0)
    return { sessions: total('sessions'), prepared: total('prepared') }
}
