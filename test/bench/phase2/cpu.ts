/** Processor time of the sidecar and of its sessions, from /proc: elsewhere there is none to tell. */
import { readdirSync, readFileSync } from 'node:fs'
import type { World } from '../../support/world'

/** Microseconds that a process has used, of all its threads; nothing where the system does not say. */
function used(pid: number): number {
    try {
        const tasks = readdirSync(`/proc/${pid}/task`)
        const nanoseconds = tasks.map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]))
        return nanoseconds.reduce((a, b) => a + b, 0) / 1000
    } catch {
        return 0
    }
}

export interface Spent {
    readonly sidecar: number
    /** Its sessions on the coordinator. */
    readonly coordinator: number
    /** Its sessions on the nodes. */
    readonly nodes: number
}

/** Microseconds that the sidecar and its sessions use while `work` runs. */
export async function spent(world: World, work: () => Promise<void>): Promise<Spent> {
    const sessions = 'select pid from pg_stat_activity where application_name like $1 and datname = current_database()'
    const own = (await world.sql<{ pid: number }>(sessions, ['pglobalxact sidecar%'])).map(({ pid }) => pid)
    const there: number[] = []
    for (const name of world.nodes.keys())
        there.push(...(await world.node<{ pid: number }>(name, sessions, ['pgx%sidecar%'])).map(({ pid }) => pid))
    const read = (): number[] => [[world.sidecar!.pid], own, there].map((pids) => pids.reduce((sum, pid) => sum + used(pid), 0))
    const before = read()
    await work()
    const [sidecar, coordinator, nodes] = read().map((after, n) => after - before[n]!)
    return { sidecar: sidecar!, coordinator: coordinator!, nodes: nodes! }
}
