/** A restore point in the making, stopped with the gate closed and nothing done on a node yet. */
import { expect } from 'chai'
import type { Client } from 'pg'
import { until } from '../../support/wait'
import type { World } from '../../support/world'

const KEY = 471_300

/** The shipped function, with something added where the mark is. */
export async function replace(world: World, signature: string, mark: string, more: (mark: string) => string): Promise<void> {
    const [row] = await world.sql<{ source: string }>(`select pg_get_functiondef('pglobalxact.${signature}'::regprocedure) as source`)
    expect(row!.source).to.include(mark)
    await world.sql(row!.source.replace(mark, () => more(mark)))
}

/** From now on it waits there while somebody holds it. */
export const armHold = (world: World): Promise<void> =>
    replace(
        world,
        '_begin_restore_point(text, text, name, integer[])',
        'exception when',
        (rest) => `    perform pg_advisory_xact_lock_shared(${KEY});\n${rest}`
    )

/** Ending the session lets go. */
export async function hold(world: World, key = KEY): Promise<Client> {
    const client = await world.coordinator.connect({ database: world.database })
    await client.query('select pg_advisory_lock($1)', [key])
    return client
}

export const held = (world: World): Promise<unknown> =>
    until(
        'it has begun',
        async () => (await world.sql(`select from pg_locks where locktype = 'advisory' and objid = ${KEY} and not granted`)).length > 0
    )
