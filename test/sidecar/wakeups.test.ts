import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { Client } from 'pg'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow } from './common'

/** Lost wake-ups would show as sets that stay open until the slow look, a minute later. */
describe('a busy sidecar, with a slow look every minute only', () => {
    let world: World
    let clients: Client[]
    before(async () => {
        world = await World.create({ name: 'wakeups', sidecarArgs: ['--scan-interval', '60000'] })
        clients = []
        for (let i = 0; i < 6; i++) clients.push(await world.connect())
    })
    after(() => world.destroy())
    afterEach(() => world.settled())

    const awake = async (): Promise<boolean> =>
        (
            await world.sql(
                "select from pg_locks where locktype = 'advisory' and classid = any (pglobalxact._lock_keys('awake')) and mode = 'ExclusiveLock' and database = (select oid from pg_database where datname = current_database())"
            )
        ).length > 0

    const open = async (): Promise<number> => (await world.sql('select from pglobalxact.commit_record where complete_at is null')).length

    it('is sent no notification while it is awake, and finds the sets by itself', async () => {
        const listener = await world.connect()
        let rung = 0
        listener.on('notification', () => (rung += 1))
        await listener.query('listen pglobalxact')
        // Stopped in the middle of its work, sooner or later with the lock in hand.
        await until('the sidecar is stopped while it is awake', async () => {
            world.sidecar!.resume()
            await addRow(world, clients[0]!)
            world.sidecar!.pause()
            return awake()
        })
        const before = rung
        for (let i = 0; i < 20; i++) await addRow(world, clients[0]!)
        await listener.query('select 1')
        expect(rung, 'notifications sent by twenty commits').to.equal(before)
        expect(await open()).to.be.at.least(20)
        world.sidecar!.resume()
        await until('all are finished', async () => (await open()) === 0, { timeoutMs: 2000 })
        await until('the sidecar sleeps again', async () => !(await awake()), { timeoutMs: 2000 })
        await addRow(world, clients[0]!)
        await until('a commit rings the doorbell again', async () => (await listener.query('select 1')) && rung > before)
    })

    it('notifies rarely under load: far less than once a commit', async () => {
        const listener = await world.connect()
        let rung = 0
        listener.on('notification', () => (rung += 1))
        await listener.query('listen pglobalxact')
        let commits = 0
        const deadline = Date.now() + 2000
        await Promise.all(
            clients.map(async (client) => {
                while (Date.now() < deadline) {
                    await addRow(world, client)
                    commits += 1
                }
            })
        )
        await listener.query('select 1')
        expect(commits).to.be.greaterThan(50)
        expect(rung, `notifications for ${commits} commits`).to.be.below(commits / 2)
    })

    it('loses no set, however commits fall into its falling asleep and waking', async () => {
        const deadline = Date.now() + 12_000
        let rounds = 0
        while (Date.now() < deadline) {
            rounds += 1
            // It falls asleep 20 ms after the last set: commits around that moment are the dangerous ones.
            const pauses = clients.map(() => Array.from({ length: 3 }, () => Math.random() * 45))
            await Promise.all(
                clients.map(async (client, index) => {
                    for (const pause of pauses[index]!) {
                        await sleep(pause)
                        await addRow(world, client, index % 2 === 0 ? ['b'] : ['c'])
                    }
                })
            )
            await until(`all sets of round ${rounds} are finished (pauses ${JSON.stringify(pauses)})`, async () => (await open()) === 0, {
                timeoutMs: 2000,
                everyMs: 5
            })
        }
        expect(rounds).to.be.greaterThan(10)
    })

    it('loses no set of a single session that commits just as it falls asleep', async () => {
        const [client] = clients
        for (let turn = 0; turn < 150; turn++) {
            await sleep(15 + (turn % 15))
            await addRow(world, client!, ['b'])
            const { rows } = await client!.query<{ outcome: string }>("select pglobalxact.await(timeout => '2 seconds') as outcome")
            expect(rows[0]!.outcome).to.equal('committed')
        }
    })
})
