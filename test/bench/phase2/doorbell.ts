/** What the doorbell costs at 32 sessions, and how soon an idle sidecar acts. */
import { halfCommitted } from '../../chaos/window'
import { until } from '../../support/wait'
import type { World } from '../../support/world'
import { Sessions, type Way } from './load'

export const BELLS = ['as shipped', 'never', 'always'] as const
export type Bell = (typeof BELLS)[number]

const BODIES: Readonly<Record<Exclude<Bell, 'as shipped'>, string>> = {
    never: 'null;',
    always: 'notify pglobalxact;'
}

const AWAKE =
    "select from pg_locks where locktype = 'advisory' and classid = any (pglobalxact._lock_keys('awake')) and mode = 'ExclusiveLock' " +
    'and database = (select oid from pg_database where datname = current_database())'

export interface Round {
    readonly way: Way
    readonly bell: Bell
    readonly rate: number
}

/** Rounds of all bells in turn, with as many sessions, so many milliseconds each. */
export async function bells(world: World, way: Way, sessions: number, rounds: number, milliseconds: number): Promise<readonly Round[]> {
    const [row] = await world.sql<{ source: string }>("select pg_get_functiondef('pglobalxact._ring()'::regprocedure) as source")
    const shipped = row!.source
    const made: Round[] = []
    const load = await Sessions.open(world, sessions, way)
    try {
        for (let round = 0; round < rounds; round++) {
            // Turned by one each round: none is always the first after a pause.
            for (const bell of [...BELLS, ...BELLS].slice(round % BELLS.length, (round % BELLS.length) + BELLS.length)) {
                await world.sql(
                    bell === 'as shipped' ? shipped : shipped.replace(/begin[\s\S]*end/, `begin ${BODIES[bell]} return false; end`)
                )
                await warmUp(world, load)
                made.push({ way, bell, rate: (await load.run(milliseconds)).rate })
            }
        }
    } finally {
        await world.sql(shipped)
        await load.close()
    }
    return made
}

/** With the sidecar awake at the end, whatever the bell. */
async function warmUp(world: World, load: Sessions): Promise<void> {
    await until(
        'the sidecar is awake',
        async () => {
            await world.sql('notify pglobalxact')
            await load.run(200)
            return (await world.sql(AWAKE)).length > 0
        },
        { everyMs: 1 }
    )
}

/** One set at a time, with the sidecar asleep before each: milliseconds from the local commit to the last branch committed. */
export async function idle(world: World, sets: number): Promise<readonly number[]> {
    const load = await Sessions.open(world, 1, 'exec')
    await load.commit(20)
    const times: number[] = []
    for (let n = 0; n < sets; n++) {
        await until('the sidecar sleeps', async () => (await world.sql(AWAKE)).length === 0, { everyMs: 5 })
        await load.commit(1)
    }
    await world.settled()
    await load.close()
    times.push(...(await halfCommitted(world, 3600)).slice(-sets))
    return times
}
