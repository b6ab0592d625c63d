/** Who dies, and how. */
import { signal } from '../../support/proctree'
import { until } from '../../support/wait'
import type { World } from '../../support/world'
import type { Standing } from './scenes'

/** SIGKILL of each: of the session's backend, of the sidecar, of all processes of a server. */
export const KILLED = ['session', 'sidecar', 'coordinator', 'node b', 'node c'] as const
/** The same in the gentler forms of life. */
export const GENTLE = ['terminated session', 'killed client', 'stopped coordinator'] as const

export type Party = (typeof KILLED)[number] | (typeof GENTLE)[number]

interface Strike {
    readonly world: World
    readonly standing: Standing
    /** Of the backend that is meant by "session". */
    readonly pid: number
    readonly dead: readonly Party[]
}

const strikes: Readonly<Record<Party, (at: Strike) => Promise<unknown>>> = {
    session: killBackend,
    sidecar: ({ world }) => world.sidecar!.kill(),
    coordinator: ({ world }) => world.coordinator.kill(),
    'node b': ({ world }) => world.nodes.get('b')!.kill(),
    'node c': ({ world }) => world.nodes.get('c')!.kill(),
    'terminated session': ({ world, pid }) => world.sql('select pg_terminate_backend($1, 10000)', [pid]),
    'killed client': ({ standing }) => standing.session!.killClient(),
    'stopped coordinator': ({ world }) => world.coordinator.stop('immediate')
}

export async function strike(world: World, standing: Standing, dead: readonly Party[]): Promise<void> {
    const pid = standing.session?.pid ?? (await bystander(world))
    await Promise.all(dead.map((party) => strikes[party]({ world, standing, pid, dead })))
}

/** Where the set's own session is over, another one's death does the same to the server. */
async function bystander(world: World): Promise<number> {
    const other = await world.connect('app')
    return (await other.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid
}

/** As the out-of-memory killer does it: PostgreSQL then ends all sessions, and goes through crash recovery by itself. */
async function killBackend({ world, pid, dead }: Strike): Promise<void> {
    const from = world.coordinator.log().length
    signal(pid, 'SIGKILL')
    if (dead.includes('coordinator')) return
    await until(
        'the coordinator has recovered',
        async () => /database system is ready/.test(world.coordinator.log().slice(from)) && (await world.sql('select 1')).length > 0,
        { everyMs: 10 }
    )
}

/** Starts again what died, but for the sidecar. */
export async function startServers(world: World): Promise<void> {
    await Promise.all(
        [world.coordinator, ...world.nodes.values()].map((cluster) => (cluster.pid === undefined ? cluster.start() : undefined))
    )
}
