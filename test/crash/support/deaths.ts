/** Ways in which a session or its server dies, and what it takes to have the coordinator back. */
import { signal } from '../../support/proctree'
import { until } from '../../support/wait'
import type { World } from '../../support/world'
import type { Session } from './session'

export interface Death {
    /** Ends the sentence "… when …". */
    readonly when: string
    /** The client alone dies: its COMMIT is with the server, which carries it out. */
    readonly clientOnly?: boolean
    strike(world: World, session: Session): Promise<void>
    /** Brings back what died with it; nothing by default. */
    heal?(world: World): Promise<void>
}

const start = (world: World): Promise<void> => world.coordinator.start()

/** As the out-of-memory killer does it: PostgreSQL then ends all sessions and goes through crash recovery by itself. */
async function killBackend(world: World, session: Session): Promise<void> {
    const from = world.coordinator.log().length
    signal(session.pid, 'SIGKILL')
    await until(
        'the coordinator has recovered',
        async () => /database system is ready/.test(world.coordinator.log().slice(from)) && (await world.sql('select 1')).length > 0
    )
}

export const DEATHS: readonly Death[] = [
    { when: 'its client is killed', clientOnly: true, strike: (_, session) => session.killClient() },
    {
        when: 'its backend is terminated',
        strike: async (world, { pid }) => void (await world.sql('select pg_terminate_backend($1, 10000)', [pid]))
    },
    { when: 'its backend gets SIGKILL', strike: killBackend },
    { when: 'the coordinator is stopped immediately', strike: (world) => world.coordinator.stop('immediate'), heal: start },
    { when: 'the coordinator gets SIGKILL', strike: (world) => world.coordinator.kill(), heal: start },
    {
        when: 'the whole host dies, server and sidecar',
        strike: async (world) => {
            await Promise.all([world.sidecar?.kill(), world.coordinator.kill()])
        },
        heal: async (world) => {
            await start(world)
            await world.startSidecar()
        }
    }
]
