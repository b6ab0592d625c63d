/** Another clock than the machine's, which all servers of a test share. */
import type { World } from './world'

const OTHERS = 'pg_catalog.clock_of_the_machine'

/** What SQL in the node's database takes for the time is so much later; a negative interval: earlier. */
export const shiftClock = (world: World, node: string, by: string): Promise<unknown> =>
    world.node(
        node,
        `alter function pg_catalog.clock_timestamp() rename to clock_of_the_machine;
         create function pg_catalog.clock_timestamp() returns timestamptz language sql volatile as $$ select ${OTHERS}() + interval '${by}' $$`
    )

export const clockOfTheMachine = (world: World, node: string): Promise<unknown> =>
    world.node(node, `drop function pg_catalog.clock_timestamp(); alter function ${OTHERS}() rename to clock_timestamp`)
