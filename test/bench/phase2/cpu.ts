/** Processor time of the sidecar and of its sessions, from /proc: elsewhere there is none to tell. */
import { readFileSync } from 'node:fs'
import type { World } from '../../support/world'

const TICK = 10_000 // µs: the kernel counts in hundredths of a second, whatever its own tick

/** Microseconds that a process has used; undefined where the system does not say. */
function used(pid: number): number | undefined {
    try {
        const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
        const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
        return (Number(fields[11]) + Number(fields[12])) * TICK
    } catch {
        return undefined
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
    const read = (): number[] => [[world.sidecar!.pid], own, there].map((pids) => pids.reduce((sum, pid) => sum + (used(pid) ?? 0), 0))
    const before = read()
    await work()
    const [sidecar, coordinator, nodes] = read().map((after, n) => after - before[n]!)
    return { sidecar: sidecar!, coordinator: coordinator!, nodes: nodes! }
}
