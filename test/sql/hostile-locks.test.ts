/**
 * What a hostile role can do with notifications and advisory locks: nothing but a nuisance, and that is shown.
 * (test/sidecar/fence.test.ts has squatters at nodes, test/sidecar/doorbell.test.ts payloads.)
 */
import { expect } from 'chai'
import { refused, value } from '../support/refused'
import { until } from '../support/wait'
import type { World } from '../support/world'
import { hostileWorld } from './hostile/support'

const SPARES = [0, 16, 32, 48]
const CLASSES = [0x70677831, 0x70677832, 0x70677833, 0x70677834, 0x70677835]

describe('a hostile role', () => {
    let world: World
    let own: string
    const { app, nobody, setWorks } = hostileWorld('hostile_locks', (made, id) => {
        world = made
        own = id
    })

    describe('that sends notifications', () => {
        it('by the thousand, on every channel and with any payload, changes nothing and is not believed', async () => {
            const victim = await app()
            const set = await world.transfer(victim)
            for (const sender of [await nobody(), await app()]) {
                for (const payload of [
                    '',
                    set,
                    `pgx_${own}_${set}_1`,
                    '{"kind":"force","action":"commit"}',
                    `'; drop schema pglobalxact cascade; --`,
                    'x'.repeat(7000)
                ])
                    await sender.query(
                        `select count(pg_notify(c, $1 || i)) from unnest(array['pglobalxact', 'pglobalxact_echo', 'awake', 'committing']) c, generate_series(1, 300) i`,
                        [payload]
                    )
            }
            expect(await value(victim, 'select pglobalxact.outcome($1)', [set])).to.equal('in progress')
            await victim.query('commit')
            expect(await value(victim, 'select pglobalxact.await()')).to.equal('committed')
            await setWorks()
            expect(await world.sql('select sidecar from pglobalxact.status()')).to.deep.equal([{ sidecar: 'acting' }])
        })
    })

    describe('that takes advisory locks', () => {
        it('all of them, with all spares, in every mode, only delays: sets that are open commit, and it is named', async () => {
            const victim = await app()
            await world.transfer(victim)
            const squatter = await nobody()
            const squat = async (): Promise<void> => {
                for (const one of CLASSES.flatMap((c) => SPARES.map((s) => c + s)))
                    for (const key of [0, 1, 2, Number.parseInt(own, 16) | 0])
                        await squatter.query('select pg_try_advisory_lock($1, $2)', [one, key])
            }
            await squat()
            await victim.query('commit')
            expect(await value(victim, 'select pglobalxact.await()')).to.equal('committed')
            await squat() // now those that the set held too
            // The next set cannot be marked: it is refused, and the error leads to who it is.
            const { hint } = await refused(world.transfer(await app()), {
                code: '55P03',
                message: /^the set cannot be marked as in flight: other sessions hold its advisory locks$/
            })
            const query = /^See who: (select .*);$/.exec(hint ?? '')![1]!
            expect((await world.sql<{ pid: number }>(query)).map(({ pid }) => pid)).to.include(
                await value(squatter, 'select pg_backend_pid()')
            )
            await squatter.end()
            await setWorks()
        })

        it('to keep a sidecar from being elected, under every spare, is named in status() and by its own calls', async () => {
            await world.sidecar!.stop()
            const squatter = await nobody()
            for (const spare of SPARES) await squatter.query('select pg_advisory_lock($1, 0)', [0x70677834 + spare])
            const victim = await app()
            await world.transfer(victim)
            await victim.query('commit')
            const started = world.startSidecar()
            started.catch(() => undefined)
            await until(
                'it says who',
                async () =>
                    (
                        await world.sql(
                            `select from pglobalxact.status() where sidecar = 'waiting' and note ~ 'held by others: role "nobody_here", pid [0-9]+'`
                        )
                    ).length === 1
            )
            await squatter.end()
            await started
            expect(await value(victim, 'select pglobalxact.await()')).to.equal('committed')
        })
    })
})
