/** What can be switched on, and what is then done with it while transfers go on. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { until } from '../../support/wait'
import type { Ground } from '../ground'

export interface Feature {
    readonly name: string
    /** In the report. */
    readonly title: string
    on?(admin: Client, ground: Ground): Promise<void>
    /** Again and again while transfers go on; returns how long commits were held, in milliseconds, where that is what it costs. */
    use?(admin: Client): Promise<number | undefined>
    off?(admin: Client, ground: Ground): Promise<void>
}

export const PLAIN: Feature = { name: 'replica', title: 'nothing, on servers with `wal_level = replica`' }
export const OFF: Feature = { name: 'off', title: 'nothing, with `wal_level = logical`, as in all that follow' }

const PAUSE = 200 // ms between two uses
let points = 0

const held = async (admin: Client, sql: string): Promise<number | undefined> => (await admin.query<{ held: number }>(sql)).rows[0]?.held

export const FEATURES: readonly Feature[] = [
    OFF,
    {
        name: 'watched',
        title: 'both nodes are watched (`watch_node`)',
        async on(admin, { nodes }) {
            for (const { name, control } of nodes) {
                await control.query('alter role node_sidecar replication')
                await control.query('create publication pglobalxact for all tables')
                await admin.query('select * from pglobalxact.watch_node($1)', [name])
            }
            await until('both are streamed', async () => {
                const { rows } = await admin.query("select from pglobalxact.watched() where state = 'streaming'")
                return rows.length === nodes.length
            })
        },
        async off(admin, { nodes }) {
            for (const { name, control } of nodes) {
                await admin.query('select pglobalxact.unwatch_node($1)', [name])
                await control.query('drop publication pglobalxact')
            }
        }
    },
    {
        name: 'deadlocks',
        title: "deadlocks are resolved (`detect_deadlocks('resolve')`)",
        on: async (admin) => void (await admin.query("select pglobalxact.detect_deadlocks('resolve')")),
        off: async (admin) => void (await admin.query("select pglobalxact.detect_deadlocks('off')"))
    },
    {
        name: 'consumer',
        title: `a consumer takes all events, every ${PAUSE} ms`,
        on: async (admin) => void (await admin.query("select pglobalxact.add_consumer('bench')")),
        async use(admin) {
            await admin.query('begin')
            await admin.query("select count(*) from pglobalxact.next_events('bench')")
            await admin.query("select pglobalxact.finish_events('bench')")
            await admin.query('commit')
            return undefined
        },
        off: async (admin) => void (await admin.query("select pglobalxact.remove_consumer('bench')"))
    },
    {
        name: 'clock',
        title: 'sets get a time (`keep_clock`)',
        on: async (admin) => void (await admin.query('select pglobalxact.keep_clock()')),
        off: async (admin) => void (await admin.query('select pglobalxact.stop_clock()'))
    },
    {
        name: 'verify',
        title: 'records and nodes are compared all the time (`verify`)',
        async use(admin) {
            const { rows } = await admin.query<{ finding: string }>("select finding from pglobalxact.verify(now() - interval '10 seconds')")
            const wrong = rows.filter(({ finding }) => finding === 'disagreement')
            if (wrong.length > 0) throw new Error('verify() found a disagreement')
            return undefined
        }
    },
    {
        name: 'snapshots',
        title: `snapshots of all servers are exported, every ${PAUSE} ms (\`export_snapshots\`)`,
        async use(admin) {
            const sql = "select extract(epoch from held)::float8 * 1000 as held from pglobalxact.export_snapshots(timeout => '5 seconds')"
            const one = await held(admin, sql)
            await admin.query('select pglobalxact.release_snapshots()')
            return one
        }
    },
    {
        name: 'points',
        title: `restore points are written, every ${PAUSE} ms (\`create_restore_point\`)`,
        async on(admin, { nodes }) {
            await admin.query('grant execute on function pg_create_restore_point(text) to pglobalxact')
            for (const { control } of nodes) await control.query('grant execute on function pg_create_restore_point(text) to node_sidecar')
        },
        use: (admin) =>
            held(
                admin,
                `select (pglobalxact.create_restore_point('bench-${++points}', timeout => '5 seconds') ->> 'held_ms')::float8 as held`
            )
    }
]

/** Uses a feature until `done`, and then until what is under way is over. Returns how long commits were held each time. */
export function useIt(feature: Feature, admin: Client): { readonly stop: () => Promise<readonly number[]> } {
    const found: number[] = []
    let going = true
    const work = (async () => {
        while (going && feature.use !== undefined) {
            const one = await feature.use(admin)
            if (one !== undefined) found.push(one)
            await sleep(PAUSE)
        }
    })()
    work.catch(() => undefined) // told by stop
    return {
        stop: async () => {
            going = false
            await work
            return found
        }
    }
}
