/**
 * The doorbell's race, step by step: a session that commits and the sidecar that falls asleep, or wakes, are each held at every step of
 * theirs (sql/internal/_ring.sql and sql/sidecar/_stay_awake.sql, _fall_asleep.sql, _look.sql), whichever comes first, and let go in
 * either order. The slow look is ten minutes away: a wake-up that is lost shows as a set that nobody finishes.
 */
import { expect } from 'chai'
import type { Client } from 'pg'
import { until } from '../support/wait'
import { World } from '../support/world'
import { armFaultPoints, BELL, SLEEPER, SQL_FAULT_POINTS, Stop } from './support/sqlfaults'

const HELD = 'held session'
const LAST = 'before local commit'
const MARKED: readonly string[] = [...BELL.points.slice(1), LAST] // the session has the lock "committing"
const SESSION: readonly string[] = [...BELL.points, LAST]
const SIDECAR: readonly string[] = SLEEPER.flatMap(({ points }) => points)

interface Meeting {
    readonly session: string
    readonly sidecar: string
    /** Who stands at its step while the other one comes there, and who goes on while the other one still stands. */
    readonly first: 'session' | 'sidecar'
    readonly freed: 'session' | 'sidecar'
}

const MEETINGS = SIDECAR.flatMap(
    (sidecar) =>
        SESSION.flatMap((session) =>
            (['session', 'sidecar'] as const).flatMap((first) =>
                (['session', 'sidecar'] as const).map((freed): Meeting => ({ session, sidecar, first, freed }))
            )
        )
    // The sidecar is not alone while a session has the lock already.
).filter(({ session, sidecar, first }) => !(sidecar === 'alone' && first === 'session' && MARKED.includes(session)))

describe('the doorbell, with both sides held at each of their steps', () => {
    let world: World
    let held: Client
    let primer: Client
    let row = 100
    before(async () => {
        // Longer than a step is held: the sidecar's statement stands still meanwhile.
        world = await World.create({ name: 'steps', sidecarArgs: ['--scan-interval', '600000', '--node-timeout', '60000'] })
        await armFaultPoints(world, undefined, `current_setting('application_name') = '${HELD}'`)
        await armFaultPoints(world, BELL, `current_setting('application_name') = '${HELD}'`)
        for (const one of SLEEPER) await armFaultPoints(world, one)
        held = await world.connect()
        await held.query(`set application_name = '${HELD}'`)
        primer = await world.connect()
    })
    after(() => world.destroy())

    it('have steps that are known', () => {
        expect(SQL_FAULT_POINTS).to.include(LAST)
        expect(BELL.points).to.have.lengthOf(3)
        expect(SIDECAR).to.have.lengthOf(6)
    })

    const begin = async (client: Client): Promise<void> => {
        await client.query('begin')
        await client.query('select pglobalxact.exec($1, $2)', ['b', `insert into account values (${++row}, 0)`])
    }

    /** Somebody has the lock in this mode: "awake" is the sidecar's alone, sessions have it together. */
    const lock = async (purpose: string, mode: 'ExclusiveLock' | 'ShareLock'): Promise<boolean> =>
        (
            await world.sql(
                "select from pg_locks where locktype = 'advisory' and classid = any (pglobalxact._lock_keys($1)) and granted and mode = $2 " +
                    'and database = (select oid from pg_database where datname = current_database())',
                [purpose, mode]
            )
        ).length > 0

    /** Longer without a statement than its longest pause between two looks: it waits for the bell. */
    const sleeps = async (): Promise<boolean> =>
        (
            await world.sql(
                "select from pg_stat_activity where application_name = 'pglobalxact sidecar' and datname = current_database() " +
                    "and state = 'idle' and state_change < clock_timestamp() - interval '130 ms'"
            )
        ).length > 0 && !(await lock('awake', 'ExclusiveLock'))

    const asleep = (): Promise<unknown> => until('the sidecar sleeps', sleeps, { everyMs: 10 })

    /** A set wakes the sidecar, and it comes to its step. */
    async function bring(step: string): Promise<Stop> {
        const last = step === 'before sleep' ? await Stop.close(world, 'before the last look') : undefined
        let stop = last === undefined ? await Stop.close(world, step) : undefined
        await begin(primer)
        await primer.query('commit')
        if (last !== undefined) {
            // Every look passes there: only the one behind the locks is meant.
            await last.reached()
            stop = await Stop.close(world, step)
            await last.open()
        }
        await stop!.reached()
        return stop!
    }

    async function meet({ session, sidecar, first, freed }: Meeting): Promise<void> {
        await asleep()
        await begin(held)
        const stop = await Stop.close(world, session)
        let committed: Promise<unknown>
        let sidecarStop: Stop
        const come = async (): Promise<void> => {
            committed = held.query('commit')
            committed.catch(() => undefined)
            await stop.reached()
        }
        if (first === 'session') await come()
        sidecarStop = await bring(sidecar)
        if (first === 'sidecar') await come()
        if (freed === 'session') {
            await stop.open()
            await committed!
            await sidecarStop.open()
        } else {
            await sidecarStop.open()
            // As far as it comes by itself: to sleep, unless it sees the session.
            await until('the sidecar has gone on', async () => (await sleeps()) || (await lock('committing', 'ShareLock')), { everyMs: 10 })
            await stop.open()
            await committed!
        }
        await until(
            'every set is finished',
            async () => (await world.sql('select from pglobalxact.commit_record where complete_at is null')).length === 0
        )
    }

    for (const sidecar of SIDECAR) {
        for (const first of ['session', 'sidecar'] as const) {
            it(`lose no set: the ${first} is there first, and the sidecar held at "${sidecar}"`, async () => {
                for (const meeting of MEETINGS) if (meeting.sidecar === sidecar && meeting.first === first) await meet(meeting)
            })
        }
    }

    after(() => expect(MEETINGS).to.have.lengthOf(90))
})
